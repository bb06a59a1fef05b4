/* LANG -- RFC 6856 §3, and what every reply says in German and French. The English text in the code is the key; a
 * translation has the same conversions in the same order (tests/unit/test_pop3.c). */
#include "proto/pop3/pop3.h"

/* clang-format off */
const struct translation pop3_translations[] = {
        { "user successfully logged on",
          "angemeldet",
          "connexion réussie" },
        { "POP3 server signing off",
          "der POP3-Server verabschiedet sich",
          "le serveur POP3 vous dit au revoir" },
        { "now the password, with PASS",
          "nun das Kennwort, mit PASS",
          "maintenant le mot de passe, par PASS" },
        { "still here",
          "noch da",
          "toujours là" },
        { "%u octets",
          "%u Oktette",
          "%u octets" },
        { "%u messages (%llu octets)",
          "%u Nachrichten (%llu Oktette)",
          "%u messages (%llu octets)" },
        { "message %u deleted",
          "Nachricht %u gelöscht",
          "message %u supprimé" },
        { "unique-ids follow",
          "die eindeutigen Kennungen folgen",
          "voici les identifiants uniques" },
        { "top of the message follows",
          "der Anfang der Nachricht folgt",
          "voici le début du message" },
        { "what there is here",
          "was es hier gibt",
          "voici ce qui est offert" },
        { "mechanisms follow",
          "die Verfahren folgen",
          "voici les mécanismes" },
        { "languages follow",
          "die Sprachen folgen",
          "voici les langues" },
        { "begin TLS",
          "TLS kann beginnen",
          "commencez TLS" },
        { "UTF-8 it is",
          "von nun an UTF-8",
          "désormais UTF-8" },
        { "%s now in English",
          "%s von nun an auf Deutsch",
          "%s désormais en français" },
        { "no such language; LANG alone lists them",
          "diese Sprache gibt es hier nicht; LANG allein zählt sie auf",
          "cette langue est inconnue ; LANG seul les énumère" },
        { "no such command; CAPA tells what there is",
          "diesen Befehl gibt es nicht; CAPA sagt, was es gibt",
          "commande inconnue ; CAPA dit ce qui existe" },
        { "%s: you are signed in already",
          "%s: Sie sind schon angemeldet",
          "%s : vous êtes déjà connecté" },
        { "%s: sign in first, with USER and PASS or with AUTH",
          "%s: erst anmelden, mit USER und PASS oder mit AUTH",
          "%s : identifiez-vous d'abord, par USER et PASS ou par AUTH" },
        { "USER comes before PASS",
          "USER kommt vor PASS",
          "USER vient avant PASS" },
        { "%s: a password may not travel in clear here; give STLS first",
          "%s: Kennwörter reisen hier nicht im Klartext; erst STLS",
          "%s : pas de mot de passe en clair ici ; d'abord STLS" },
        { "%s stands alone on its line",
          "%s steht allein in seiner Zeile",
          "%s est seul sur sa ligne" },
        { "too many errors, goodbye",
          "zu viele Fehler, auf Wiedersehen",
          "trop d'erreurs, au revoir" },
        { "nothing may follow %s before its reply; goodbye",
          "auf %s darf vor der Antwort nichts folgen; auf Wiedersehen",
          "rien ne doit suivre %s avant sa réponse ; au revoir" },
        { "that line is too long",
          "diese Zeile ist zu lang",
          "cette ligne est trop longue" },
        { "[SYS/TEMP] you were signed out, goodbye",
          "[SYS/TEMP] Sie wurden abgemeldet, auf Wiedersehen",
          "[SYS/TEMP] vous avez été déconnecté, au revoir" },
        { "[SYS/TEMP] POP3 server shutting down, goodbye",
          "[SYS/TEMP] der POP3-Server hört auf, auf Wiedersehen",
          "[SYS/TEMP] le serveur POP3 s'arrête, au revoir" },
        { "[SYS/TEMP] nobody can sign in just now, try again later",
          "[SYS/TEMP] gerade kann sich niemand anmelden, später noch einmal",
          "[SYS/TEMP] personne ne peut se connecter en ce moment, réessayez plus tard" },
        { "[AUTH] wrong name or password",
          "[AUTH] Name oder Kennwort falsch",
          "[AUTH] nom ou mot de passe faux" },
        { "[SYS/PERM] this account has no mailbox",
          "[SYS/PERM] dieses Konto hat kein Postfach",
          "[SYS/PERM] ce compte n'a pas de boîte" },
        { "give a name: USER name",
          "ein Name fehlt: USER Name",
          "donnez un nom : USER nom" },
        { "give name and digest: APOP name digest",
          "Name und Prüfsumme fehlen: APOP Name Prüfsumme",
          "donnez nom et empreinte : APOP nom empreinte" },
        { "AUTH was cancelled",
          "AUTH wurde abgebrochen",
          "AUTH a été annulé" },
        { "that is not base64",
          "das ist nicht base64",
          "ce n'est pas du base64" },
        { "[AUTH] the response makes no sense to the mechanism",
          "[AUTH] das Verfahren versteht die Antwort nicht",
          "[AUTH] le mécanisme ne comprend pas la réponse" },
        { "no such mechanism here and now; AUTH alone lists them",
          "dieses Verfahren gibt es hier und jetzt nicht; AUTH allein zählt sie auf",
          "ce mécanisme n'existe pas ici et maintenant ; AUTH seul les énumère" },
        { "TLS is on already",
          "TLS ist schon an",
          "TLS est déjà actif" },
        { "there is no TLS here",
          "hier gibt es kein TLS",
          "il n'y a pas de TLS ici" },
        { "[SYS/TEMP] the mailbox was rebuilt meanwhile; sign in again",
          "[SYS/TEMP] das Postfach wurde inzwischen neu aufgebaut; bitte neu anmelden",
          "[SYS/TEMP] la boîte a été reconstruite entre-temps ; reconnectez-vous" },
        { "[SYS/PERM] the mailbox is damaged; its keeper must mend it",
          "[SYS/PERM] das Postfach ist beschädigt; sein Verwalter muss es richten",
          "[SYS/PERM] la boîte est endommagée ; son gérant doit la réparer" },
        { "[SYS/TEMP] the mailbox cannot be used just now, try again later",
          "[SYS/TEMP] das Postfach ist gerade nicht zu gebrauchen, später noch einmal",
          "[SYS/TEMP] la boîte est inutilisable en ce moment, réessayez plus tard" },
        { "[SYS/TEMP] nothing was removed, try again later; goodbye",
          "[SYS/TEMP] nichts wurde entfernt, später noch einmal; auf Wiedersehen",
          "[SYS/TEMP] rien n'a été supprimé, réessayez plus tard ; au revoir" },
        { "no such message, there are %u",
          "diese Nachricht gibt es nicht, es sind %u",
          "ce message n'existe pas, il y en a %u" },
        { "message %u is deleted already",
          "Nachricht %u ist schon gelöscht",
          "le message %u est déjà supprimé" },
        { "message %u was removed by another session",
          "Nachricht %u hat eine andere Sitzung entfernt",
          "le message %u a été supprimé par une autre session" },
        { "[UTF8] this message is only for those who have said UTF8",
          "[UTF8] diese Nachricht bekommt nur, wer UTF8 gesagt hat",
          "[UTF8] ce message n'est que pour ceux qui ont dit UTF8" },
        { "give one number: RETR message",
          "eine Zahl fehlt: RETR Nachricht",
          "donnez un nombre : RETR message" },
        { "give two numbers: TOP message lines",
          "zwei Zahlen fehlen: TOP Nachricht Zeilen",
          "donnez deux nombres : TOP message lignes" },
        { "give one number: DELE message",
          "eine Zahl fehlt: DELE Nachricht",
          "donnez un nombre : DELE message" },
        { "give one number or none: LIST [message]",
          "eine Zahl oder keine: LIST [Nachricht]",
          "un nombre ou aucun : LIST [message]" },
        { "give one number or none: UIDL [message]",
          "eine Zahl oder keine: UIDL [Nachricht]",
          "un nombre ou aucun : UIDL [message]" },
        { NULL, NULL, NULL },
};
/* clang-format on */

const char *pop3_text(const struct pop3 *p, const char *english)
{
        return language_text(pop3_translations, p->language, english);
}

/* "*": what the account's entry says; before sign-in nobody shall learn that from us (RFC 6856 §7). */
static unsigned preferred(struct session *s)
{
        struct account_entry entry = { 0 };
        unsigned found = LANGUAGES;

        if (s->state == POP3_TRANSACTION && s->server->directory &&
            directory_account(s->server->directory, &s->command, s->account, &entry) == 0)
                found = language_find(entry.language);
        return found < LANGUAGES ? found : 0;
}

static int tell_languages(struct session *s)
{
        pop3_ok(s, "languages follow");
        for (unsigned i = 0; i < LANGUAGES; i++)
                conn_printf(s->conn, "%s %s\r\n", languages[i].tag, languages[i].name);
        conn_put(s->conn, S(".\r\n"));
        return OK;
}

int pop3_lang(struct session *s, struct scan *a)
{
        struct str range = str_trim(scan_rest(a));
        unsigned found;

        if (!range.n)
                return tell_languages(s);
        found = str_eq(range, S("*")) ? preferred(s) : language_find(range);
        if (found == LANGUAGES)
                return pop3_no(s, "no such language; LANG alone lists them");
        pop3_of(s)->language = (uint8_t)found;
        return pop3_ok(s, "%s now in English", languages[found].tag);
}

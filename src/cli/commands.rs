//! The one table of commands. `--help`, the parser and the tests read it.

use super::args::{Arg, Command, Needed, Opt};
use super::{account, address, backup, config, domain, quickstart, serve, status};

const PASSWORD_STDIN: Opt = Opt {
    name: "password-stdin",
    value: None,
    meaning: "read the password from the first line of standard input instead of asking for it",
};

const ADDRESS: Arg = Arg { name: "ADDRESS", meaning: "such as me@box.test", needed: Needed::Always };
const ACCOUNT: Arg =
    Arg { name: "ACCOUNT", meaning: "its main address, such as me@box.test", needed: Needed::Always };
const DOMAIN: Arg = Arg { name: "DOMAIN", meaning: "such as box.test", needed: Needed::Always };
const SETTING: Arg = Arg { name: "NAME", meaning: "as `config list` shows it", needed: Needed::Always };
const APP: Arg = Arg { name: "NAME", meaning: "what uses it, such as phone", needed: Needed::Always };

pub const COMMANDS: &[Command] = &[
    Command {
        words: "quickstart",
        args: &[Arg { needed: Needed::Perhaps, meaning: "your address (else me@box.test)", ..ADDRESS }],
        options: &[Opt {
            name: "ports-from",
            value: Some("N"),
            meaning: "standard port numbers are counted from here (else 2000: SMTP 2025, IMAP 2143, POP3 2110 …); 0: any free ports",
        }],
        summary: "make a box in this folder and serve it on this machine, to try things out",
        more: "Makes ./pillarbox.db with a domain, an account, a password, a certificate and a welcome message, unless \
               it is there already; prints what a mail client must be told; then serves on 127.0.0.1 until Ctrl-C.",
        run: quickstart::run,
    },
    Command {
        words: "serve",
        args: &[],
        options: &[],
        summary: "serve the file on the ports that its settings say",
        more: "Ends after SIGTERM or SIGINT when what is in flight is finished; reads settings and certificates again \
               at SIGHUP. A file that does not exist is made.",
        run: serve::run,
    },
    Command {
        words: "domain add",
        args: &[DOMAIN],
        options: &[],
        summary: "take mail for a domain",
        more: "Makes the pillarbox file if it is not there.",
        run: domain::add,
    },
    Command {
        words: "domain list",
        args: &[],
        options: &[],
        summary: "show the domains",
        more: "",
        run: domain::list,
    },
    Command {
        words: "domain remove",
        args: &[DOMAIN],
        options: &[],
        summary: "take no more mail for a domain that has no addresses left",
        more: "",
        run: domain::remove,
    },
    Command {
        words: "account add",
        args: &[ADDRESS],
        options: &[PASSWORD_STDIN],
        summary: "add a person: an address that is also the login name, mailboxes and a password",
        more: "",
        run: account::add,
    },
    Command {
        words: "account list",
        args: &[],
        options: &[],
        summary: "show the accounts and what they hold",
        more: "",
        run: account::list,
    },
    Command {
        words: "account remove",
        args: &[ACCOUNT],
        options: &[Opt { name: "yes", value: None, meaning: "do not ask" }],
        summary: "remove a person with all their mail",
        more: "",
        run: account::remove,
    },
    Command {
        words: "account password",
        args: &[ACCOUNT],
        options: &[PASSWORD_STDIN],
        summary: "set a new main password; connections that used the old one end",
        more: "",
        run: account::password,
    },
    Command {
        words: "account quota",
        args: &[ACCOUNT, Arg { name: "BYTES", meaning: "none given: no limit", needed: Needed::Perhaps }],
        options: &[
            Opt { name: "messages", value: Some("N"), meaning: "how many messages; not given: no limit" },
            Opt { name: "mailboxes", value: Some("N"), meaning: "how many mailboxes; not given: no limit" },
        ],
        summary: "limit how much an account may hold",
        more: "Takes the place of all limits that were set before, those that the person has set by mail client (IMAP \
               SETQUOTA) included. What is there already stays, also if it is more than the limit.",
        run: account::quota,
    },
    Command {
        words: "account app add",
        args: &[ACCOUNT, APP],
        options: &[
            Opt { name: "scope", value: Some("SCOPE"), meaning: "all (the default), read-only or send-only" },
            PASSWORD_STDIN,
        ],
        summary: "make a password for one program or device, and show it once",
        more: "",
        run: account::app_add,
    },
    Command {
        words: "account app list",
        args: &[ACCOUNT],
        options: &[],
        summary: "show an account's passwords: what each may do, when and from where it was last used",
        more: "",
        run: account::app_list,
    },
    Command {
        words: "account app revoke",
        args: &[ACCOUNT, APP],
        options: &[],
        summary: "end a program's password and its connections",
        more: "",
        run: account::app_revoke,
    },
    Command {
        words: "address add",
        args: &[
            Arg { meaning: "such as sales@box.test, or *@box.test for everything else", ..ADDRESS },
            Arg { name: "ACCOUNT", meaning: "who gets its mail", needed: Needed::Always },
        ],
        options: &[],
        summary: "give an account another address",
        more: "",
        run: address::add,
    },
    Command {
        words: "address list",
        args: &[Arg { needed: Needed::Perhaps, meaning: "only this one's", ..ACCOUNT }],
        options: &[],
        summary: "show the addresses and whose they are",
        more: "",
        run: address::list,
    },
    Command {
        words: "address remove",
        args: &[ADDRESS],
        options: &[],
        summary: "take an address away",
        more: "",
        run: address::remove,
    },
    Command {
        words: "config list",
        args: &[],
        options: &[],
        summary: "show all settings, their meaning and their values",
        more: "",
        run: config::list,
    },
    Command {
        words: "config get",
        args: &[SETTING],
        options: &[],
        summary: "show one setting",
        more: "",
        run: config::get,
    },
    Command {
        words: "config set",
        args: &[
            SETTING,
            Arg { name: "VALUE", meaning: "none given: the default again", needed: Needed::Perhaps },
        ],
        options: &[],
        summary: "change a setting; a running server follows at once",
        more: "",
        run: config::set,
    },
    Command {
        words: "status",
        args: &[],
        options: &[],
        summary: "show what the box holds and what its server does",
        more: "",
        run: status::run,
    },
    Command {
        words: "reload",
        args: &[],
        options: &[],
        summary: "let the running server read its settings and certificates again",
        more: "",
        run: status::reload,
    },
    Command {
        words: "backup",
        args: &[Arg { name: "FILE", meaning: "where the copy goes; must not exist", needed: Needed::Always }],
        options: &[],
        summary: "copy the whole box into one file while it runs, and check the copy",
        more: "",
        run: backup::backup,
    },
    Command {
        words: "restore",
        args: &[Arg { name: "FILE", meaning: "a backup", needed: Needed::Always }],
        options: &[],
        summary: "put a backup in the place of the box; its server must be stopped",
        more: "What was there before is kept beside it. Mail clients notice that messages have gone and come, and none \
               ever shows an old message for a new one.",
        run: backup::restore,
    },
    Command {
        words: "verify",
        args: &[],
        options: &[],
        summary: "check every page, every message and every counter of the file",
        more: "",
        run: backup::verify,
    },
    Command {
        words: "rebuild",
        args: &[],
        options: &[],
        summary: "make all that is derived from the messages anew; the server must be stopped",
        more: "",
        run: backup::rebuild,
    },
];

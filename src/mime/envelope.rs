//! ENVELOPE (RFC 9051 section 7.5.2) and the sort fields, from one header section.

use super::address::{self, Entry, Mailbox};
use super::{SortFields, date, header, text, thread, wire, words};

/// The fields of a header section that ENVELOPE and the sort fields need. Of a field that stands there twice the
/// first counts, except that address lists are joined.
#[derive(Default)]
pub struct Fields<'a> {
    date: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    from: Vec<Entry>,
    sender: Vec<Entry>,
    reply_to: Vec<Entry>,
    to: Vec<Entry>,
    cc: Vec<Entry>,
    bcc: Vec<Entry>,
    in_reply_to: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
    references: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub fn take(&mut self, field: &header::Field<'a>) {
        if field.is("From") {
            join(&mut self.from, field.value);
        } else if field.is("To") {
            join(&mut self.to, field.value);
        } else if field.is("Subject") {
            self.subject.get_or_insert(field.value);
        } else if field.is("Date") {
            self.date.get_or_insert(field.value);
        } else if field.is("Message-ID") {
            self.message_id.get_or_insert(field.value);
        } else if field.is("Cc") {
            join(&mut self.cc, field.value);
        } else if field.is("References") {
            self.references.get_or_insert(field.value);
        } else if field.is("In-Reply-To") {
            self.in_reply_to.get_or_insert(field.value);
        } else if field.is("Reply-To") {
            join(&mut self.reply_to, field.value);
        } else if field.is("Sender") {
            join(&mut self.sender, field.value);
        } else if field.is("Bcc") {
            join(&mut self.bcc, field.value);
        }
    }

    // envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc
    //            SP env-in-reply-to SP env-message-id ")"                                          RFC 9051 section 9
    pub fn write(&self, out: &mut Vec<u8>) {
        let or_from = |list: &'_ [Entry]| if list.is_empty() { None } else { Some(list.to_vec()) };
        out.push(b'(');
        wire::field(out, self.date);
        out.push(b' ');
        wire::field(out, self.subject);
        write_list(out, &self.from);
        // "If the Sender or Reply-To header fields are absent or empty, the server sets them to From." 7.5.2
        write_list(out, or_from(&self.sender).as_ref().unwrap_or(&self.from));
        write_list(out, or_from(&self.reply_to).as_ref().unwrap_or(&self.from));
        write_list(out, &self.to);
        write_list(out, &self.cc);
        write_list(out, &self.bcc);
        out.push(b' ');
        wire::field(out, self.in_reply_to);
        out.push(b' ');
        wire::field(out, self.message_id);
        out.push(b')');
    }

    pub fn sort(&self) -> SortFields {
        let subject = words::decode(self.subject.unwrap_or_default());
        SortFields {
            sent: self.date.and_then(date::parse),
            subject: text::fold(&thread::base_subject(&subject)),
            from: local_part(&self.from),
            to: local_part(&self.to),
            cc: local_part(&self.cc),
            display_from: display(&self.from),
            display_to: display(&self.to),
            message_id: thread::message_ids(self.message_id.unwrap_or_default()).next().unwrap_or_default(),
            references: thread::references(
                self.references.unwrap_or_default(),
                self.in_reply_to.unwrap_or_default(),
            ),
        }
    }
}

fn join(list: &mut Vec<Entry>, value: &[u8]) {
    list.extend(address::parse(value));
    list.truncate(crate::base::limits::ADDRESSES_MAX);
}

// env-from = "(" 1*address ")" / nil
fn write_list(out: &mut Vec<u8>, list: &[Entry]) {
    if list.is_empty() {
        return out.extend_from_slice(b" NIL");
    }
    out.extend_from_slice(b" (");
    for entry in list {
        match entry {
            Entry::Mailbox(mailbox) => write_mailbox(out, mailbox),
            Entry::GroupStart(name) => {
                out.extend_from_slice(b"(NIL NIL ");
                wire::string(out, name);
                out.extend_from_slice(b" NIL)");
            }
            Entry::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.push(b')');
}

// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
// A NIL host would start a group, so that a missing one is "".
fn write_mailbox(out: &mut Vec<u8>, mailbox: &Mailbox) {
    out.push(b'(');
    wire::string_or_nil(out, mailbox.name.as_deref().unwrap_or_default());
    out.push(b' ');
    wire::string_or_nil(out, mailbox.route.as_deref().unwrap_or_default());
    out.push(b' ');
    wire::string(out, &mailbox.local);
    out.push(b' ');
    wire::string(out, &mailbox.domain);
    out.push(b')');
}

/// RFC 5256 section 3: what FROM, TO and CC sort by, the addr-mailbox of the first address in ENVELOPE. Of a group that
/// is its name.
fn local_part(list: &[Entry]) -> String {
    match list.first() {
        Some(Entry::Mailbox(mailbox)) => text::fold(&words::decode(&mailbox.local)),
        Some(Entry::GroupStart(name)) => text::fold(&words::decode(name)),
        _ => String::new(),
    }
}

/// RFC 5957 section 3: what DISPLAYFROM and DISPLAYTO sort by.
fn display(list: &[Entry]) -> String {
    match list.first() {
        Some(Entry::Mailbox(mailbox)) => mailbox.display(),
        Some(Entry::GroupStart(name)) => words::decode(name),
        _ => String::new(),
    }
}

//! What threading needs of a header: message-ids, and the base subject (RFC 5256 section 2.1).

use crate::base::limits::REFERENCES_BYTES_MAX;

/// The message-ids of a field, without their brackets, white space and quotes. `<a@b> junk <c@d>` gives two.
pub fn message_ids(value: &[u8]) -> impl Iterator<Item = String> {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            let open = memchr::memchr(b'<', rest)?;
            let close = memchr::memchr(b'>', &rest[open..])? + open;
            // Of `<<a@b>` the inner one counts.
            let start = memchr::memrchr(b'<', &rest[open..close]).map_or(open, |inner| open + inner);
            let id = &rest[start + 1..close];
            rest = &rest[close + 1..];
            let id: Vec<u8> = id.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'"').collect();
            if !id.is_empty() {
                return Some(String::from_utf8_lossy(&id).into_owned());
            }
        }
    })
}

/// The ids of References, or else the first of In-Reply-To (RFC 5256, REFERENCES step 1), with single spaces
/// between. Of too many the first one is kept, which names the thread, and the last ones, which name the parents.
pub fn references(references: &[u8], in_reply_to: &[u8]) -> String {
    let mut ids: Vec<String> = message_ids(references).collect();
    if ids.is_empty() {
        ids.extend(message_ids(in_reply_to).next());
    }
    let mut bytes: usize = ids.iter().map(|id| id.len() + 1).sum();
    let mut dropped = 0;
    while bytes > REFERENCES_BYTES_MAX && dropped + 1 < ids.len() {
        dropped += 1;
        bytes -= ids[dropped].len() + 1;
    }
    if !ids.is_empty() {
        ids.drain(1..=dropped);
    }
    if bytes > REFERENCES_BYTES_MAX {
        return String::new();
    }
    ids.join(" ")
}

/// The subject without what replying and forwarding add to it: `Re: [list] Fwd: x (fwd)` gives `x`. Not case-folded.
pub fn base_subject(subject: &str) -> String {
    reduce(subject).0
}

/// Whether the subject says that it is a reply or a forward: making the base subject of it takes more away than blobs.
pub fn is_reply(subject: &str) -> bool {
    reduce(subject).1
}

/// The base subject, and whether something was taken away that replying or forwarding has added.
// base-subject = (1) spaces joined (2) trailing subj-trailer (3) subj-leader (4) subj-blob (5) repeat
//                (6) subj-fwd                                                                   RFC 5256 section 2.1
fn reduce(subject: &str) -> (String, bool) {
    let joined = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = joined.as_str();
    let mut added = false;
    loop {
        text = without_trailers(text, &mut added);
        text = without_leaders(text, &mut added);
        match forwarded(text) {
            Some(inner) => text = inner,
            None => return (text.to_string(), added),
        }
        added = true;
    }
}

// subj-trailer = "(fwd)" / WSP
fn without_trailers<'a>(mut text: &'a str, added: &mut bool) -> &'a str {
    loop {
        text = text.trim_end();
        match text.len().checked_sub(5).and_then(|at| text.split_at_checked(at)) {
            Some((before, end)) if end.eq_ignore_ascii_case("(fwd)") => text = before,
            _ => return text,
        }
        *added = true;
    }
}

/// Leaders and blobs, until neither is there; a blob goes only where something is left behind it.
fn without_leaders<'a>(mut text: &'a str, added: &mut bool) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(rest) = leader(text) {
            text = rest;
            *added = true;
        } else if let Some(rest) = blob(text).map(str::trim_start).filter(|rest| !rest.is_empty()) {
            text = rest;
        } else {
            return text;
        }
    }
}

// subj-leader = (*subj-blob subj-refwd) / WSP ; subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
fn leader(text: &str) -> Option<&str> {
    // Blobs before it are stripped by the caller.
    let starts = |word: &&str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let word = ["re", "fwd", "fw"].into_iter().find(starts)?;
    let rest = text[word.len()..].trim_start();
    blob(rest).unwrap_or(rest).trim_start().strip_prefix(':')
}

// subj-blob = "[" *BLOBCHAR "]" *WSP
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    inner[end..].strip_prefix(']')
}

// subj-fwd = "[fwd:" subject "]"
fn forwarded(text: &str) -> Option<&str> {
    let start = text.get(..5).filter(|start| start.eq_ignore_ascii_case("[fwd:"))?;
    text[start.len()..].strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_subjects() {
        for (subject, base) in [
            ("hello", "hello"),
            ("Re: hello", "hello"),
            ("RE : [list] Fwd[2]: hello\t world (fwd) (FWD) ", "hello world"),
            ("[list] hello", "hello"),
            ("[list] [x] Re: hello", "hello"),
            ("[only]", "[only]"),
            ("[a][b]", "[b]"),
            ("[Fwd: Re: hello]", "hello"),
            ("[fwd: [fwd: x (fwd)]]", "x"),
            ("Re:", ""),
            ("Regards", "Regards"),
            ("fwiw: x", "fwiw: x"),
            ("AW: hallo", "AW: hallo"),
            ("é(fwd)", "é"),
        ] {
            assert_eq!(base_subject(subject), base, "{subject}");
        }
    }

    #[test]
    fn replies_are_known_by_what_is_taken_away() {
        for subject in ["Re: x", "[list] fwd[2]: x", "x (FWD)", "[Fwd: x]", "[a] [fwd: x]", "re:", "Re:Re: x"]
        {
            assert!(is_reply(subject), "{subject}");
        }
        for subject in ["x", "[list] x", "Regards: x", "", "(fwd) x", "AW: x", "a: b", "[fwd: x"] {
            assert!(!is_reply(subject), "{subject}");
        }
    }

    #[test]
    fn ids_are_found_in_junk() {
        let ids: Vec<_> = message_ids(b"x <a@b> (c) <\"d e\"@f>\r\n <> <<g@h> <open").collect();
        assert_eq!(ids, ["a@b", "de@f", "g@h"]);
        assert_eq!(references(b"<a@b> <c@d>", b"<e@f>"), "a@b c@d");
        assert_eq!(references(b"none", b"<e@f> <g@h>"), "e@f");
        assert_eq!(references(b"", b""), "");
    }

    #[test]
    fn too_many_references_keep_the_first_and_the_last() {
        let many: String = (0..10_000).map(|n| format!("<{n}@example.org> ")).collect();
        let kept = references(many.as_bytes(), b"");
        assert!(kept.len() <= REFERENCES_BYTES_MAX && kept.len() > REFERENCES_BYTES_MAX / 2);
        assert!(kept.starts_with("0@example.org ") && kept.ends_with(" 9999@example.org"));
    }
}

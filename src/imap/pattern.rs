//! The patterns of LIST: `*` is anything, `%` anything within one level (RFC 9051 section 6.3.9).

/// Whether a name fits. Costs at most pattern times name, whatever the pattern. `INBOX` fits in any case.
pub fn fits(pattern: &str, name: &str) -> bool {
    if name == "INBOX" {
        return matches(pattern.to_ascii_uppercase().as_bytes(), name.as_bytes());
    }
    matches(pattern.as_bytes(), name.as_bytes())
}

/// All places in the pattern where a match may stand are followed at once: no backtracking, no exponential patterns.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut at = vec![false; pattern.len() + 1];
    at[0] = true;
    skip_wildcards(pattern, &mut at);
    for &byte in name {
        let mut next = vec![false; pattern.len() + 1];
        for (index, &expected) in pattern.iter().enumerate().filter(|(index, _)| at[*index]) {
            match expected {
                b'*' => next[index] = true,
                b'%' => next[index] |= byte != b'/',
                _ => next[index + 1] |= expected == byte,
            }
        }
        skip_wildcards(pattern, &mut next);
        at = next;
    }
    at[pattern.len()]
}

/// A wildcard can stand for nothing.
fn skip_wildcards(pattern: &[u8], at: &mut [bool]) {
    for (index, byte) in pattern.iter().enumerate() {
        at[index + 1] |= at[index] && matches!(byte, b'*' | b'%');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stop_at_levels_or_not() {
        for (pattern, name, expected) in [
            ("*", "a/b/c", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("%/%", "a/b", true),
            ("a*c", "a/b/c", true),
            ("a%c", "abc", true),
            ("a%c", "a/c", false),
            ("", "", true),
            ("", "a", false),
            ("inBox", "INBOX", true),
            ("inbox", "Inbox2", false),
            ("*%*%*x", "aaaaaaaaaaaa/aaaaaaaaaaaaaa", false),
            ("INBOX*", "INBOX", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}

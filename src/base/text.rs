//! Small text helpers that more than one room needs.

/// Base64 with padding (RFC 4648 section 4), as AUTH and MIME use it. `None` for anything that is not exactly that.
pub fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    data_encoding::BASE64.decode(text).ok()
}

pub fn base64_encode(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

/// Where `needle` first occurs in `hay`, if it does.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len().max(1)).position(|window| window == needle)
}

/// Splits an address at its last `@`: (local part, domain).
pub fn split_address(address: &str) -> Option<(&str, &str)> {
    address.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

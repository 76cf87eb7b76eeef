//! The certificate that a new box begins with: self-signed, and known to people by its fingerprint. The only file that
//! knows rcgen.

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use super::report::{Exit, Trouble};

/// Chain and key in PEM, for these names and for this machine. The dates are fixed, because a machine without a clock
/// may make it in 1970; whoever trusts it trusts its fingerprint.
pub fn self_signed(names: &[&str]) -> Result<(String, String), Trouble> {
    let make = || {
        let mut all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        all.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
        let mut params = CertificateParams::new(all)?;
        params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("localhost"));
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2049, 12, 31);
        let key = KeyPair::generate()?;
        Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
    };
    make().map_err(|error: rcgen::Error| {
        Trouble::new(Exit::Failed, format!("no certificate can be made: {error}"))
    })
}

/// SHA-256 of the first certificate of a chain, as clients show it: `AB:CD:…`.
pub fn fingerprint(chain: &str) -> Option<String> {
    let (_, body) = chain.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = body.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    let der = data_encoding::BASE64.decode(body.as_bytes()).ok()?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &der);
    let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    Some(pairs.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_a_fingerprint() {
        let (chain, key) = self_signed(&["box.test"]).expect("a certificate");
        assert!(key.contains("PRIVATE KEY"));
        let shown = fingerprint(&chain).expect("a fingerprint");
        assert_eq!(shown.len(), 32 * 3 - 1);
        assert_eq!(fingerprint("nothing"), None);
    }
}

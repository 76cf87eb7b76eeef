//! Case folding for search, sort and thread: i;unicode-casemap (RFC 5051) by what std knows and a table.
//!
//! Case: each character to its simple titlecase, for which std's upper case stands in where it is one character (they
//! differ only for the Croatian digraphs, which the decomposition takes apart anyway). Decomposition: in full for
//! Hangul, and from a table for Latin, Greek, Cyrillic, kana, punctuation, letterlike, ligature and full-width
//! characters. Rare scripts' compatibility forms (Arabic presentation forms, CJK compatibility ideographs) are left as
//! they are: they compare equal only to themselves. Folding is applied to both sides, and twice is the same as once.

use std::borrow::Cow;
use std::sync::LazyLock;

const HANGUL: std::ops::RangeInclusive<char> = '\u{ac00}'..='\u{d7a3}';

/// The key by which two strings are the same to a person who does not mind case.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

/// `fold` at the end of a string.
pub fn fold_into(text: &str, out: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        // Most of mail is ASCII, and a whole run of it costs little more than its copy.
        let plain = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
        let (run, other) = rest.split_at(plain);
        let start = out.len();
        out.push_str(run);
        out[start..].make_ascii_uppercase();
        let length = other.bytes().position(|byte| byte.is_ascii()).unwrap_or(other.len());
        let (other, more) = other.split_at(length);
        other.chars().for_each(|c| decompose(simple_upper(c), out));
        rest = more;
    }
}

/// Whether two characters stand side by side for which Unicode has one: then the text is not in Normalization Form C.
/// Knows the scripts of the table and Hangul.
pub fn is_decomposed(text: &str) -> bool {
    text.chars().zip(text.chars().skip(1)).any(|(base, mark)| match mark {
        // A space with an accent is what spacing accents come to, but never the other way round.
        '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}' if base != ' ' => {
            let mut pair = String::new();
            decompose(simple_upper(base), &mut pair);
            pair.push(mark);
            TABLE.iter().any(|(_, parts)| *parts == pair)
        }
        '\u{1161}'..='\u{1175}' => ('\u{1100}'..='\u{1112}').contains(&base),
        '\u{11a8}'..='\u{11c2}' => {
            HANGUL.contains(&base) && (u32::from(base) - u32::from(*HANGUL.start())).is_multiple_of(28)
        }
        _ => false,
    })
}

fn simple_upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn decompose(c: char, out: &mut String) {
    if HANGUL.contains(&c) {
        return hangul(u32::from(c) - 0xac00, out);
    }
    match TABLE.binary_search_by_key(&c, |entry| entry.0) {
        Ok(at) => out.push_str(&TABLE[at].1),
        Err(_) => out.push(c),
    }
}

/// The Unicode Standard, section 3.12: a syllable is a leading consonant, a vowel and perhaps a trailing consonant.
fn hangul(syllable: u32, out: &mut String) {
    let jamo = [0x1100 + syllable / 588, 0x1161 + syllable % 588 / 28, 0x11a7 + syllable % 28];
    let count = if jamo[2] == 0x11a7 { 2 } else { 3 };
    out.extend(jamo.iter().take(count).filter_map(|&code| char::from_u32(code)));
}

/// A character and its decomposition, ascending.
static TABLE: LazyLock<Vec<(char, Cow<'static, str>)>> = LazyLock::new(|| {
    let mut table = Vec::with_capacity(1024);
    for entry in DECOMPOSITIONS.split(' ').filter(|entry| !entry.is_empty()) {
        let mut chars = entry.chars();
        if let Some(c) = chars.next() {
            // The table separates by spaces; a space in a decomposition is written as `_`.
            let to = chars.as_str();
            let to = if to.contains('_') { Cow::Owned(to.replace('_', " ")) } else { Cow::Borrowed(to) };
            table.push((c, to));
        }
    }
    table
});

/// Each entry is a character, then what it is made of (Unicode's compatibility decomposition, applied until nothing
/// changes, in upper case).
const DECOMPOSITIONS: &str = "\
    \u{a0}_ \u{a8}_\u{308} \u{aa}A \u{af}_\u{304} \u{b2}2 \u{b3}3 \u{b4}_\u{301} \
    \u{b8}_\u{327} \u{b9}1 \u{ba}O \u{bc}1\u{2044}4 \u{bd}1\u{2044}2 \u{be}3\u{2044}4 \
    \u{c0}A\u{300} \u{c1}A\u{301} \u{c2}A\u{302} \u{c3}A\u{303} \u{c4}A\u{308} \u{c5}A\u{30a} \
    \u{c7}C\u{327} \u{c8}E\u{300} \u{c9}E\u{301} \u{ca}E\u{302} \u{cb}E\u{308} \u{cc}I\u{300} \
    \u{cd}I\u{301} \u{ce}I\u{302} \u{cf}I\u{308} \u{d1}N\u{303} \u{d2}O\u{300} \u{d3}O\u{301} \
    \u{d4}O\u{302} \u{d5}O\u{303} \u{d6}O\u{308} \u{d9}U\u{300} \u{da}U\u{301} \u{db}U\u{302} \
    \u{dc}U\u{308} \u{dd}Y\u{301} \u{100}A\u{304} \u{102}A\u{306} \u{104}A\u{328} \u{106}C\u{301} \
    \u{108}C\u{302} \u{10a}C\u{307} \u{10c}C\u{30c} \u{10e}D\u{30c} \u{112}E\u{304} \u{114}E\u{306} \
    \u{116}E\u{307} \u{118}E\u{328} \u{11a}E\u{30c} \u{11c}G\u{302} \u{11e}G\u{306} \u{120}G\u{307} \
    \u{122}G\u{327} \u{124}H\u{302} \u{128}I\u{303} \u{12a}I\u{304} \u{12c}I\u{306} \u{12e}I\u{328} \
    \u{130}I\u{307} \u{132}IJ \u{134}J\u{302} \u{136}K\u{327} \u{139}L\u{301} \u{13b}L\u{327} \
    \u{13d}L\u{30c} \u{13f}L\u{b7} \u{143}N\u{301} \u{145}N\u{327} \u{147}N\u{30c} \u{149}\u{2bc}N \
    \u{14c}O\u{304} \u{14e}O\u{306} \u{150}O\u{30b} \u{154}R\u{301} \u{156}R\u{327} \u{158}R\u{30c} \
    \u{15a}S\u{301} \u{15c}S\u{302} \u{15e}S\u{327} \u{160}S\u{30c} \u{162}T\u{327} \u{164}T\u{30c} \
    \u{168}U\u{303} \u{16a}U\u{304} \u{16c}U\u{306} \u{16e}U\u{30a} \u{170}U\u{30b} \u{172}U\u{328} \
    \u{174}W\u{302} \u{176}Y\u{302} \u{178}Y\u{308} \u{179}Z\u{301} \u{17b}Z\u{307} \u{17d}Z\u{30c} \
    \u{1a0}O\u{31b} \u{1af}U\u{31b} \u{1c4}DZ\u{30c} \u{1c7}LJ \u{1ca}NJ \u{1cd}A\u{30c} \
    \u{1cf}I\u{30c} \u{1d1}O\u{30c} \u{1d3}U\u{30c} \u{1d5}U\u{308}\u{304} \u{1d7}U\u{308}\u{301} \
    \u{1d9}U\u{308}\u{30c} \u{1db}U\u{308}\u{300} \u{1de}A\u{308}\u{304} \u{1e0}A\u{307}\u{304} \
    \u{1e2}\u{c6}\u{304} \u{1e6}G\u{30c} \u{1e8}K\u{30c} \u{1ea}O\u{328} \u{1ec}O\u{328}\u{304} \
    \u{1ee}\u{1b7}\u{30c} \u{1f0}J\u{30c} \u{1f1}DZ \u{1f4}G\u{301} \u{1f8}N\u{300} \
    \u{1fa}A\u{30a}\u{301} \u{1fc}\u{c6}\u{301} \u{1fe}\u{d8}\u{301} \u{200}A\u{30f} \u{202}A\u{311} \
    \u{204}E\u{30f} \u{206}E\u{311} \u{208}I\u{30f} \u{20a}I\u{311} \u{20c}O\u{30f} \u{20e}O\u{311} \
    \u{210}R\u{30f} \u{212}R\u{311} \u{214}U\u{30f} \u{216}U\u{311} \u{218}S\u{326} \u{21a}T\u{326} \
    \u{21e}H\u{30c} \u{226}A\u{307} \u{228}E\u{327} \u{22a}O\u{308}\u{304} \u{22c}O\u{303}\u{304} \
    \u{22e}O\u{307} \u{230}O\u{307}\u{304} \u{232}Y\u{304} \u{374}\u{2b9} \u{37a}_\u{399} \u{37e}; \
    \u{384}_\u{301} \u{385}_\u{308}\u{301} \u{386}\u{391}\u{301} \u{387}\u{b7} \
    \u{388}\u{395}\u{301} \u{389}\u{397}\u{301} \u{38a}\u{399}\u{301} \u{38c}\u{39f}\u{301} \
    \u{38e}\u{3a5}\u{301} \u{38f}\u{3a9}\u{301} \u{390}\u{399}\u{308}\u{301} \u{3aa}\u{399}\u{308} \
    \u{3ab}\u{3a5}\u{308} \u{3b0}\u{3a5}\u{308}\u{301} \u{3d2}\u{3a5} \u{3d3}\u{3a5}\u{301} \
    \u{3d4}\u{3a5}\u{308} \u{3f4}\u{398} \u{3f9}\u{3a3} \u{400}\u{415}\u{300} \u{401}\u{415}\u{308} \
    \u{403}\u{413}\u{301} \u{407}\u{406}\u{308} \u{40c}\u{41a}\u{301} \u{40d}\u{418}\u{300} \
    \u{40e}\u{423}\u{306} \u{419}\u{418}\u{306} \u{476}\u{474}\u{30f} \u{4c1}\u{416}\u{306} \
    \u{4d0}\u{410}\u{306} \u{4d2}\u{410}\u{308} \u{4d6}\u{415}\u{306} \u{4da}\u{4d8}\u{308} \
    \u{4dc}\u{416}\u{308} \u{4de}\u{417}\u{308} \u{4e2}\u{418}\u{304} \u{4e4}\u{418}\u{308} \
    \u{4e6}\u{41e}\u{308} \u{4ea}\u{4e8}\u{308} \u{4ec}\u{42d}\u{308} \u{4ee}\u{423}\u{304} \
    \u{4f0}\u{423}\u{308} \u{4f2}\u{423}\u{30b} \u{4f4}\u{427}\u{308} \u{4f8}\u{42b}\u{308} \
    \u{1e00}A\u{325} \u{1e02}B\u{307} \u{1e04}B\u{323} \u{1e06}B\u{331} \u{1e08}C\u{327}\u{301} \
    \u{1e0a}D\u{307} \u{1e0c}D\u{323} \u{1e0e}D\u{331} \u{1e10}D\u{327} \u{1e12}D\u{32d} \
    \u{1e14}E\u{304}\u{300} \u{1e16}E\u{304}\u{301} \u{1e18}E\u{32d} \u{1e1a}E\u{330} \
    \u{1e1c}E\u{327}\u{306} \u{1e1e}F\u{307} \u{1e20}G\u{304} \u{1e22}H\u{307} \u{1e24}H\u{323} \
    \u{1e26}H\u{308} \u{1e28}H\u{327} \u{1e2a}H\u{32e} \u{1e2c}I\u{330} \u{1e2e}I\u{308}\u{301} \
    \u{1e30}K\u{301} \u{1e32}K\u{323} \u{1e34}K\u{331} \u{1e36}L\u{323} \u{1e38}L\u{323}\u{304} \
    \u{1e3a}L\u{331} \u{1e3c}L\u{32d} \u{1e3e}M\u{301} \u{1e40}M\u{307} \u{1e42}M\u{323} \
    \u{1e44}N\u{307} \u{1e46}N\u{323} \u{1e48}N\u{331} \u{1e4a}N\u{32d} \u{1e4c}O\u{303}\u{301} \
    \u{1e4e}O\u{303}\u{308} \u{1e50}O\u{304}\u{300} \u{1e52}O\u{304}\u{301} \u{1e54}P\u{301} \
    \u{1e56}P\u{307} \u{1e58}R\u{307} \u{1e5a}R\u{323} \u{1e5c}R\u{323}\u{304} \u{1e5e}R\u{331} \
    \u{1e60}S\u{307} \u{1e62}S\u{323} \u{1e64}S\u{301}\u{307} \u{1e66}S\u{30c}\u{307} \
    \u{1e68}S\u{323}\u{307} \u{1e6a}T\u{307} \u{1e6c}T\u{323} \u{1e6e}T\u{331} \u{1e70}T\u{32d} \
    \u{1e72}U\u{324} \u{1e74}U\u{330} \u{1e76}U\u{32d} \u{1e78}U\u{303}\u{301} \u{1e7a}U\u{304}\u{308} \
    \u{1e7c}V\u{303} \u{1e7e}V\u{323} \u{1e80}W\u{300} \u{1e82}W\u{301} \u{1e84}W\u{308} \
    \u{1e86}W\u{307} \u{1e88}W\u{323} \u{1e8a}X\u{307} \u{1e8c}X\u{308} \u{1e8e}Y\u{307} \
    \u{1e90}Z\u{302} \u{1e92}Z\u{323} \u{1e94}Z\u{331} \u{1e96}H\u{331} \u{1e97}T\u{308} \
    \u{1e98}W\u{30a} \u{1e99}Y\u{30a} \u{1e9a}A\u{2be} \u{1ea0}A\u{323} \u{1ea2}A\u{309} \
    \u{1ea4}A\u{302}\u{301} \u{1ea6}A\u{302}\u{300} \u{1ea8}A\u{302}\u{309} \u{1eaa}A\u{302}\u{303} \
    \u{1eac}A\u{323}\u{302} \u{1eae}A\u{306}\u{301} \u{1eb0}A\u{306}\u{300} \u{1eb2}A\u{306}\u{309} \
    \u{1eb4}A\u{306}\u{303} \u{1eb6}A\u{323}\u{306} \u{1eb8}E\u{323} \u{1eba}E\u{309} \u{1ebc}E\u{303} \
    \u{1ebe}E\u{302}\u{301} \u{1ec0}E\u{302}\u{300} \u{1ec2}E\u{302}\u{309} \u{1ec4}E\u{302}\u{303} \
    \u{1ec6}E\u{323}\u{302} \u{1ec8}I\u{309} \u{1eca}I\u{323} \u{1ecc}O\u{323} \u{1ece}O\u{309} \
    \u{1ed0}O\u{302}\u{301} \u{1ed2}O\u{302}\u{300} \u{1ed4}O\u{302}\u{309} \u{1ed6}O\u{302}\u{303} \
    \u{1ed8}O\u{323}\u{302} \u{1eda}O\u{31b}\u{301} \u{1edc}O\u{31b}\u{300} \u{1ede}O\u{31b}\u{309} \
    \u{1ee0}O\u{31b}\u{303} \u{1ee2}O\u{31b}\u{323} \u{1ee4}U\u{323} \u{1ee6}U\u{309} \
    \u{1ee8}U\u{31b}\u{301} \u{1eea}U\u{31b}\u{300} \u{1eec}U\u{31b}\u{309} \u{1eee}U\u{31b}\u{303} \
    \u{1ef0}U\u{31b}\u{323} \u{1ef2}Y\u{300} \u{1ef4}Y\u{323} \u{1ef6}Y\u{309} \u{1ef8}Y\u{303} \
    \u{1f08}\u{391}\u{313} \u{1f09}\u{391}\u{314} \u{1f0a}\u{391}\u{313}\u{300} \
    \u{1f0b}\u{391}\u{314}\u{300} \u{1f0c}\u{391}\u{313}\u{301} \u{1f0d}\u{391}\u{314}\u{301} \
    \u{1f0e}\u{391}\u{313}\u{342} \u{1f0f}\u{391}\u{314}\u{342} \u{1f18}\u{395}\u{313} \
    \u{1f19}\u{395}\u{314} \u{1f1a}\u{395}\u{313}\u{300} \u{1f1b}\u{395}\u{314}\u{300} \
    \u{1f1c}\u{395}\u{313}\u{301} \u{1f1d}\u{395}\u{314}\u{301} \u{1f28}\u{397}\u{313} \
    \u{1f29}\u{397}\u{314} \u{1f2a}\u{397}\u{313}\u{300} \u{1f2b}\u{397}\u{314}\u{300} \
    \u{1f2c}\u{397}\u{313}\u{301} \u{1f2d}\u{397}\u{314}\u{301} \u{1f2e}\u{397}\u{313}\u{342} \
    \u{1f2f}\u{397}\u{314}\u{342} \u{1f38}\u{399}\u{313} \u{1f39}\u{399}\u{314} \
    \u{1f3a}\u{399}\u{313}\u{300} \u{1f3b}\u{399}\u{314}\u{300} \u{1f3c}\u{399}\u{313}\u{301} \
    \u{1f3d}\u{399}\u{314}\u{301} \u{1f3e}\u{399}\u{313}\u{342} \u{1f3f}\u{399}\u{314}\u{342} \
    \u{1f48}\u{39f}\u{313} \u{1f49}\u{39f}\u{314} \u{1f4a}\u{39f}\u{313}\u{300} \
    \u{1f4b}\u{39f}\u{314}\u{300} \u{1f4c}\u{39f}\u{313}\u{301} \u{1f4d}\u{39f}\u{314}\u{301} \
    \u{1f50}\u{3a5}\u{313} \u{1f52}\u{3a5}\u{313}\u{300} \u{1f54}\u{3a5}\u{313}\u{301} \
    \u{1f56}\u{3a5}\u{313}\u{342} \u{1f59}\u{3a5}\u{314} \u{1f5b}\u{3a5}\u{314}\u{300} \
    \u{1f5d}\u{3a5}\u{314}\u{301} \u{1f5f}\u{3a5}\u{314}\u{342} \u{1f68}\u{3a9}\u{313} \
    \u{1f69}\u{3a9}\u{314} \u{1f6a}\u{3a9}\u{313}\u{300} \u{1f6b}\u{3a9}\u{314}\u{300} \
    \u{1f6c}\u{3a9}\u{313}\u{301} \u{1f6d}\u{3a9}\u{314}\u{301} \u{1f6e}\u{3a9}\u{313}\u{342} \
    \u{1f6f}\u{3a9}\u{314}\u{342} \u{1f80}\u{391}\u{313}\u{399} \u{1f81}\u{391}\u{314}\u{399} \
    \u{1f82}\u{391}\u{313}\u{300}\u{399} \u{1f83}\u{391}\u{314}\u{300}\u{399} \
    \u{1f84}\u{391}\u{313}\u{301}\u{399} \u{1f85}\u{391}\u{314}\u{301}\u{399} \
    \u{1f86}\u{391}\u{313}\u{342}\u{399} \u{1f87}\u{391}\u{314}\u{342}\u{399} \
    \u{1f88}\u{391}\u{313}\u{399} \u{1f89}\u{391}\u{314}\u{399} \u{1f8a}\u{391}\u{313}\u{300}\u{399} \
    \u{1f8b}\u{391}\u{314}\u{300}\u{399} \u{1f8c}\u{391}\u{313}\u{301}\u{399} \
    \u{1f8d}\u{391}\u{314}\u{301}\u{399} \u{1f8e}\u{391}\u{313}\u{342}\u{399} \
    \u{1f8f}\u{391}\u{314}\u{342}\u{399} \u{1f90}\u{397}\u{313}\u{399} \u{1f91}\u{397}\u{314}\u{399} \
    \u{1f92}\u{397}\u{313}\u{300}\u{399} \u{1f93}\u{397}\u{314}\u{300}\u{399} \
    \u{1f94}\u{397}\u{313}\u{301}\u{399} \u{1f95}\u{397}\u{314}\u{301}\u{399} \
    \u{1f96}\u{397}\u{313}\u{342}\u{399} \u{1f97}\u{397}\u{314}\u{342}\u{399} \
    \u{1f98}\u{397}\u{313}\u{399} \u{1f99}\u{397}\u{314}\u{399} \u{1f9a}\u{397}\u{313}\u{300}\u{399} \
    \u{1f9b}\u{397}\u{314}\u{300}\u{399} \u{1f9c}\u{397}\u{313}\u{301}\u{399} \
    \u{1f9d}\u{397}\u{314}\u{301}\u{399} \u{1f9e}\u{397}\u{313}\u{342}\u{399} \
    \u{1f9f}\u{397}\u{314}\u{342}\u{399} \u{1fa0}\u{3a9}\u{313}\u{399} \u{1fa1}\u{3a9}\u{314}\u{399} \
    \u{1fa2}\u{3a9}\u{313}\u{300}\u{399} \u{1fa3}\u{3a9}\u{314}\u{300}\u{399} \
    \u{1fa4}\u{3a9}\u{313}\u{301}\u{399} \u{1fa5}\u{3a9}\u{314}\u{301}\u{399} \
    \u{1fa6}\u{3a9}\u{313}\u{342}\u{399} \u{1fa7}\u{3a9}\u{314}\u{342}\u{399} \
    \u{1fa8}\u{3a9}\u{313}\u{399} \u{1fa9}\u{3a9}\u{314}\u{399} \u{1faa}\u{3a9}\u{313}\u{300}\u{399} \
    \u{1fab}\u{3a9}\u{314}\u{300}\u{399} \u{1fac}\u{3a9}\u{313}\u{301}\u{399} \
    \u{1fad}\u{3a9}\u{314}\u{301}\u{399} \u{1fae}\u{3a9}\u{313}\u{342}\u{399} \
    \u{1faf}\u{3a9}\u{314}\u{342}\u{399} \u{1fb2}\u{391}\u{300}\u{399} \u{1fb3}\u{391}\u{399} \
    \u{1fb4}\u{391}\u{301}\u{399} \u{1fb6}\u{391}\u{342} \u{1fb7}\u{391}\u{342}\u{399} \
    \u{1fb8}\u{391}\u{306} \u{1fb9}\u{391}\u{304} \u{1fba}\u{391}\u{300} \u{1fbb}\u{391}\u{301} \
    \u{1fbc}\u{391}\u{399} \u{1fbd}_\u{313} \u{1fbf}_\u{313} \u{1fc0}_\u{342} \
    \u{1fc1}_\u{308}\u{342} \u{1fc2}\u{397}\u{300}\u{399} \u{1fc3}\u{397}\u{399} \
    \u{1fc4}\u{397}\u{301}\u{399} \u{1fc6}\u{397}\u{342} \u{1fc7}\u{397}\u{342}\u{399} \
    \u{1fc8}\u{395}\u{300} \u{1fc9}\u{395}\u{301} \u{1fca}\u{397}\u{300} \u{1fcb}\u{397}\u{301} \
    \u{1fcc}\u{397}\u{399} \u{1fcd}_\u{313}\u{300} \u{1fce}_\u{313}\u{301} \
    \u{1fcf}_\u{313}\u{342} \u{1fd2}\u{399}\u{308}\u{300} \u{1fd3}\u{399}\u{308}\u{301} \
    \u{1fd6}\u{399}\u{342} \u{1fd7}\u{399}\u{308}\u{342} \u{1fd8}\u{399}\u{306} \u{1fd9}\u{399}\u{304} \
    \u{1fda}\u{399}\u{300} \u{1fdb}\u{399}\u{301} \u{1fdd}_\u{314}\u{300} \
    \u{1fde}_\u{314}\u{301} \u{1fdf}_\u{314}\u{342} \u{1fe2}\u{3a5}\u{308}\u{300} \
    \u{1fe3}\u{3a5}\u{308}\u{301} \u{1fe4}\u{3a1}\u{313} \u{1fe6}\u{3a5}\u{342} \
    \u{1fe7}\u{3a5}\u{308}\u{342} \u{1fe8}\u{3a5}\u{306} \u{1fe9}\u{3a5}\u{304} \u{1fea}\u{3a5}\u{300} \
    \u{1feb}\u{3a5}\u{301} \u{1fec}\u{3a1}\u{314} \u{1fed}_\u{308}\u{300} \
    \u{1fee}_\u{308}\u{301} \u{1fef}` \u{1ff2}\u{3a9}\u{300}\u{399} \u{1ff3}\u{3a9}\u{399} \
    \u{1ff4}\u{3a9}\u{301}\u{399} \u{1ff6}\u{3a9}\u{342} \u{1ff7}\u{3a9}\u{342}\u{399} \
    \u{1ff8}\u{39f}\u{300} \u{1ff9}\u{39f}\u{301} \u{1ffa}\u{3a9}\u{300} \u{1ffb}\u{3a9}\u{301} \
    \u{1ffc}\u{3a9}\u{399} \u{1ffd}_\u{301} \u{1ffe}_\u{314} \u{2000}_ \u{2001}_ \
    \u{2002}_ \u{2003}_ \u{2004}_ \u{2005}_ \u{2006}_ \u{2007}_ \
    \u{2008}_ \u{2009}_ \u{200a}_ \u{2011}\u{2010} \u{2017}_\u{333} \u{2024}. \
    \u{2025}.. \u{2026}... \u{202f}_ \u{2033}\u{2032}\u{2032} \u{2034}\u{2032}\u{2032}\u{2032} \
    \u{2036}\u{2035}\u{2035} \u{2037}\u{2035}\u{2035}\u{2035} \u{203c}!! \u{203e}_\u{305} \
    \u{2047}?? \u{2048}?! \u{2049}!? \u{2057}\u{2032}\u{2032}\u{2032}\u{2032} \u{205f}_ \
    \u{2100}A/C \u{2101}A/S \u{2102}C \u{2103}\u{b0}C \u{2105}C/O \u{2106}C/U \u{2107}\u{190} \
    \u{2109}\u{b0}F \u{210a}G \u{210b}H \u{210c}H \u{210d}H \u{210e}H \u{210f}\u{126} \u{2110}I \
    \u{2111}I \u{2112}L \u{2113}L \u{2115}N \u{2116}NO \u{2119}P \u{211a}Q \u{211b}R \u{211c}R \
    \u{211d}R \u{2120}SM \u{2121}TEL \u{2122}TM \u{2124}Z \u{2126}\u{3a9} \u{2128}Z \u{212a}K \
    \u{212b}A\u{30a} \u{212c}B \u{212d}C \u{212f}E \u{2130}E \u{2131}F \u{2133}M \u{2134}O \
    \u{2135}\u{5d0} \u{2136}\u{5d1} \u{2137}\u{5d2} \u{2138}\u{5d3} \u{2139}I \u{213b}FAX \
    \u{213c}\u{3a0} \u{213d}\u{393} \u{213e}\u{393} \u{213f}\u{3a0} \u{2140}\u{2211} \u{2145}D \
    \u{2146}D \u{2147}E \u{2148}I \u{2149}J \u{304c}\u{304b}\u{3099} \u{304e}\u{304d}\u{3099} \
    \u{3050}\u{304f}\u{3099} \u{3052}\u{3051}\u{3099} \u{3054}\u{3053}\u{3099} \u{3056}\u{3055}\u{3099} \
    \u{3058}\u{3057}\u{3099} \u{305a}\u{3059}\u{3099} \u{305c}\u{305b}\u{3099} \u{305e}\u{305d}\u{3099} \
    \u{3060}\u{305f}\u{3099} \u{3062}\u{3061}\u{3099} \u{3065}\u{3064}\u{3099} \u{3067}\u{3066}\u{3099} \
    \u{3069}\u{3068}\u{3099} \u{3070}\u{306f}\u{3099} \u{3071}\u{306f}\u{309a} \u{3073}\u{3072}\u{3099} \
    \u{3074}\u{3072}\u{309a} \u{3076}\u{3075}\u{3099} \u{3077}\u{3075}\u{309a} \u{3079}\u{3078}\u{3099} \
    \u{307a}\u{3078}\u{309a} \u{307c}\u{307b}\u{3099} \u{307d}\u{307b}\u{309a} \u{3094}\u{3046}\u{3099} \
    \u{309b}_\u{3099} \u{309c}_\u{309a} \u{309e}\u{309d}\u{3099} \u{309f}\u{3088}\u{308a} \
    \u{30ac}\u{30ab}\u{3099} \u{30ae}\u{30ad}\u{3099} \u{30b0}\u{30af}\u{3099} \u{30b2}\u{30b1}\u{3099} \
    \u{30b4}\u{30b3}\u{3099} \u{30b6}\u{30b5}\u{3099} \u{30b8}\u{30b7}\u{3099} \u{30ba}\u{30b9}\u{3099} \
    \u{30bc}\u{30bb}\u{3099} \u{30be}\u{30bd}\u{3099} \u{30c0}\u{30bf}\u{3099} \u{30c2}\u{30c1}\u{3099} \
    \u{30c5}\u{30c4}\u{3099} \u{30c7}\u{30c6}\u{3099} \u{30c9}\u{30c8}\u{3099} \u{30d0}\u{30cf}\u{3099} \
    \u{30d1}\u{30cf}\u{309a} \u{30d3}\u{30d2}\u{3099} \u{30d4}\u{30d2}\u{309a} \u{30d6}\u{30d5}\u{3099} \
    \u{30d7}\u{30d5}\u{309a} \u{30d9}\u{30d8}\u{3099} \u{30da}\u{30d8}\u{309a} \u{30dc}\u{30db}\u{3099} \
    \u{30dd}\u{30db}\u{309a} \u{30f4}\u{30a6}\u{3099} \u{30f7}\u{30ef}\u{3099} \u{30f8}\u{30f0}\u{3099} \
    \u{30f9}\u{30f1}\u{3099} \u{30fa}\u{30f2}\u{3099} \u{30fe}\u{30fd}\u{3099} \u{30ff}\u{30b3}\u{30c8} \
    \u{fb00}FF \u{fb01}FI \u{fb02}FL \u{fb03}FFI \u{fb04}FFL \u{fb05}ST \u{fb06}ST \u{ff01}! \
    \u{ff02}\u{22} \u{ff03}# \u{ff04}$ \u{ff05}% \u{ff06}& \u{ff07}' \u{ff08}( \u{ff09}) \u{ff0a}* \
    \u{ff0b}+ \u{ff0c}, \u{ff0d}- \u{ff0e}. \u{ff0f}/ \u{ff10}0 \u{ff11}1 \u{ff12}2 \u{ff13}3 \u{ff14}4 \
    \u{ff15}5 \u{ff16}6 \u{ff17}7 \u{ff18}8 \u{ff19}9 \u{ff1a}: \u{ff1b}; \u{ff1c}< \u{ff1d}= \u{ff1e}> \
    \u{ff1f}? \u{ff20}@ \u{ff21}A \u{ff22}B \u{ff23}C \u{ff24}D \u{ff25}E \u{ff26}F \u{ff27}G \u{ff28}H \
    \u{ff29}I \u{ff2a}J \u{ff2b}K \u{ff2c}L \u{ff2d}M \u{ff2e}N \u{ff2f}O \u{ff30}P \u{ff31}Q \u{ff32}R \
    \u{ff33}S \u{ff34}T \u{ff35}U \u{ff36}V \u{ff37}W \u{ff38}X \u{ff39}Y \u{ff3a}Z \u{ff3b}[ \
    \u{ff3c}\u{5c} \u{ff3d}] \u{ff3e}^ \u{ff3f}_ \u{ff40}` \u{ff5b}{ \u{ff5c}| \u{ff5d}} \u{ff5e}~";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding() {
        for (a, b) in [
            ("Hello", "hELLO"),
            ("KÄSE", "ka\u{308}se"),
            ("Ｆｕｌｌ", "full"),
            ("ﬁn", "fin"),
            ("Ελλάδα", "ΕΛΛΆΔΑ"),
            ("Москва", "МОСКВА"),
            ("Việt", "VIỆT"),
            ("한", "\u{1112}\u{1161}\u{11ab}"),
            ("a\u{a0}b", "A B"),
            ("straße", "STRAßE"),
            ("snake_case", "SNAKE_CASE"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_ne!(fold("Käse"), fold("Kase"));
        assert_ne!(fold("a_b"), fold("a b"));
    }

    #[test]
    fn decomposed_text_is_known_by_its_pairs() {
        for text in [
            "u\u{308}ber",
            "ü\u{304}",
            "か\u{3099}",
            "\u{1112}\u{1161}",
            "하\u{11ab}",
            "Е\u{308}",
            "o\u{302}\u{301}",
        ] {
            assert!(is_decomposed(text), "{text}");
        }
        for text in ["über", "ǖ", "が", "한", "Ё", "ố", "q\u{308}", "IJ", " \u{301}", "1⁄4", "", "ﬁ"]
        {
            assert!(!is_decomposed(text), "{text}");
        }
    }

    #[test]
    fn folding_twice_is_folding_once() {
        for c in (0..0x11_0000).filter_map(char::from_u32) {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "{c:?}");
        }
        assert!(TABLE.is_sorted_by_key(|entry| entry.0));
    }
}

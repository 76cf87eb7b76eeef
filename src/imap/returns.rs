//! RETURN options of SEARCH and SORT (RFC 9051 section 6.4.4, RFC 4731, RFC 5182, RFC 5267 section 3), and the windows of
//! PARTIAL (RFC 9394), which FETCH has too.

use std::ops::Range;

use super::lex::{Bad, Parsed, Parser};

/// What of the result is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    pub save: bool,
    /// Never together with `all`.
    pub partial: Option<Window>,
}

/// Which of the matches an answer needs; the others need not be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    All,
    /// So many of those with the lowest numbers.
    Lowest(u64),
    /// So many of those with the highest.
    Highest(u64),
}

impl Wanted {
    /// So many matches of those that are looked for first are enough.
    pub fn enough(self) -> u64 {
        match self {
            Wanted::All => u64::MAX,
            Wanted::Lowest(count) | Wanted::Highest(count) => count,
        }
    }
}

impl Returns {
    /// What a search must find for this to be told.
    pub fn wanted(&self) -> Wanted {
        let none = Returns::default();
        match self.partial {
            Some(window) if *self == (Returns { partial: self.partial, ..none }) => window.wanted(),
            // SAVE beside MIN or MAX saves just that one (RFC 5182 section 2.1).
            _ if (Returns { save: false, ..*self }) == (Returns { min: true, ..none }) => Wanted::Lowest(1),
            _ if (Returns { save: false, ..*self }) == (Returns { max: true, ..none }) => Wanted::Highest(1),
            _ => Wanted::All,
        }
    }
}

/// A stretch of a list of results, counted from its beginning or its end. The ends are as the client said them, in
/// either order; the answer repeats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    a: u32,
    b: u32,
    from_end: bool,
}

impl Window {
    fn wanted(&self) -> Wanted {
        let far = u64::from(self.a.max(self.b));
        if self.from_end { Wanted::Highest(far) } else { Wanted::Lowest(far) }
    }

    /// The places from 0 that are in the window, of a list of this length.
    pub fn places(&self, length: usize) -> Range<usize> {
        let (first, last) = (self.a.min(self.b) as usize, self.a.max(self.b) as usize);
        if self.from_end {
            return length.saturating_sub(last)..(length + 1).saturating_sub(first);
        }
        (first - 1).min(length)..last.min(length)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.a, self.b)
    }
}

// search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
/// The options and the space behind them, if RETURN comes next.
pub fn returns(p: &mut Parser<'_>) -> Parsed<Option<Returns>> {
    if !p.eat_word("RETURN") {
        return Ok(None);
    }
    p.space()?;
    let mut returns = Returns::default();
    p.list(|p| option(p, &mut returns))?;
    if returns.all && returns.partial.is_some() {
        return Err(Bad("PARTIAL and ALL cannot be returned together"));
    }
    if returns == Returns::default() {
        returns.all = true;
    }
    p.space()?;
    Ok(Some(returns))
}

// search-return-opt = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE" / modifier-partial
fn option(p: &mut Parser<'_>, returns: &mut Returns) -> Parsed<()> {
    if p.eat_word("PARTIAL") {
        return partial(p, &mut returns.partial);
    }
    for (word, option) in [
        ("MIN", &mut returns.min),
        ("MAX", &mut returns.max),
        ("ALL", &mut returns.all),
        ("COUNT", &mut returns.count),
        ("SAVE", &mut returns.save),
    ] {
        if p.eat_word(word) {
            *option = true;
            return Ok(());
        }
    }
    Err(Bad("This is no RETURN option"))
}

// modifier-partial = "PARTIAL" SP partial-range                                                 RFC 9394 section 4
/// What follows the word.
pub fn partial(p: &mut Parser<'_>, place: &mut Option<Window>) -> Parsed<()> {
    p.space()?;
    if place.replace(window(p)?).is_some() {
        return Err(Bad("PARTIAL can be said only once"));
    }
    Ok(())
}

// partial-range-first = nz-number ":" nz-number ; partial-range-last = MINUS nz-number ":" MINUS nz-number
fn window(p: &mut Parser<'_>) -> Parsed<Window> {
    let from_end = p.eat(b'-');
    let a = p.nz_number()?;
    p.byte(b':')?;
    if p.eat(b'-') != from_end {
        return Err(Bad("Both ends of PARTIAL count from the beginning, or both from the end"));
    }
    Ok(Window { a, b: p.nz_number()?, from_end })
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    fn parse(text: &str) -> Parsed<Option<Returns>> {
        returns(&mut Parser::new(text.as_bytes(), Names::Utf7))
    }

    #[test]
    fn return_options_are_read() {
        let read = |text: &str| parse(text).expect("is one");
        assert_eq!(read("ALL"), None);
        assert_eq!(read("RETURN () "), Some(Returns { all: true, ..Returns::default() }));
        let some = Returns { min: true, save: true, ..Returns::default() };
        assert_eq!(read("return (min SAVE) "), Some(some));
        let all = Returns { min: true, max: true, all: true, count: true, save: true, partial: None };
        assert_eq!(read("RETURN (COUNT ALL MAX MIN SAVE) "), Some(all));
        let window = Window { a: 4_294_967_295, b: 2, from_end: true };
        let some = Returns { count: true, partial: Some(window), ..Returns::default() };
        assert_eq!(read("RETURN (partial -4294967295:-2 COUNT) "), Some(some));
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for options in [
            "NONSENSE",
            "PARTIAL",
            "PARTIAL 5",
            "PARTIAL 0:5",
            "PARTIAL 1:*",
            "PARTIAL -1:5",
            "PARTIAL 1:-5",
            "PARTIAL \"1:5\"",
            "PARTIAL 1:4294967296",
            "PARTIAL 1:5 PARTIAL 6:9",
            "PARTIAL 1:5 ALL",
            "ALL PARTIAL 1:5",
        ] {
            assert!(parse(&format!("RETURN ({options}) ")).is_err(), "{options}");
        }
        assert!(parse("RETURN ()").is_err() && parse("RETURN ALL").is_err());
    }

    #[test]
    fn windows_are_cut_to_what_there_is() {
        let window = |a, b, from_end| Window { a, b, from_end };
        for (window, length, places) in [
            (window(1, 3, false), 10, 0..3),
            (window(500, 400, false), 450, 399..450),
            (window(4, 9, false), 3, 3..3),
            (window(1, 1, true), 10, 9..10),
            (window(2, 4, true), 10, 6..9),
            (window(u32::MAX, 3, true), 10, 0..8),
            (window(11, 12, true), 10, 0..0),
            (window(1, u32::MAX, false), 0, 0..0),
        ] {
            assert_eq!(window.places(length), places, "{window} of {length}");
        }
    }
}

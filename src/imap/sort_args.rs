//! What SORT and THREAD ask for (RFC 5256 section 5, RFC 5957 section 5, RFC 5267 section 5): parsed into values, with
//! every limit checked, before anything is read.

use crate::base::limits;
use crate::store::sorting::{SortBy, SortKey};
use crate::store::threading::ThreadBy;

use super::lex::{Bad, Parsed, Parser};
use super::returns;
use super::search_args::{self, SearchArgs, Unsearchable};

#[derive(Clone, Debug, PartialEq)]
pub struct SortArgs {
    /// The most important first.
    pub keys: Vec<SortKey>,
    pub search: SearchArgs,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ThreadArgs {
    pub by: ThreadBy,
    pub search: SearchArgs,
}

// extended-sort = ["UID" SP] "SORT" search-return-opts SP sort-criteria SP search-criteria      RFC 5267 section 5
// search-criteria = charset 1*(SP search-key)
/// What follows the space behind `SORT`.
pub fn sort(p: &mut Parser<'_>) -> Result<SortArgs, Unsearchable> {
    let returns = returns::returns(p)?;
    // sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"
    let keys = p.list(criterion)?;
    match keys.len() {
        0 => return Err(Bad("A list of sort criteria is empty").into()),
        1..=limits::SORT_KEYS_MAX => {}
        _ => return Err(Bad("This SORT has too many criteria").into()),
    }
    p.space()?;
    let charset = charset(p)?;
    Ok(SortArgs { keys, search: search_args::criteria(p, returns, charset)? })
}

// thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria
/// What follows the space behind `THREAD`.
pub fn thread(p: &mut Parser<'_>) -> Result<ThreadArgs, Unsearchable> {
    const ALGORITHMS: [(&str, ThreadBy); 3] = [
        ("ORDEREDSUBJECT", ThreadBy::OrderedSubject),
        ("REFERENCES", ThreadBy::References),
        ("REFS", ThreadBy::Refs),
    ];
    let known = ALGORITHMS.into_iter().find(|(word, _)| p.eat_word(word));
    let (_, by) = known.ok_or(Bad("This is no threading algorithm that is known here"))?;
    p.space()?;
    let charset = charset(p)?;
    Ok(ThreadArgs { by, search: search_args::criteria(p, None, charset)? })
}

// sort-criterion = ["REVERSE" SP] sort-key
fn criterion(p: &mut Parser<'_>) -> Parsed<SortKey> {
    const KEYS: [(&str, SortBy); 9] = [
        ("ARRIVAL", SortBy::Arrival),
        ("CC", SortBy::Cc),
        ("DATE", SortBy::Date),
        ("FROM", SortBy::From),
        ("SIZE", SortBy::Size),
        ("SUBJECT", SortBy::Subject),
        ("TO", SortBy::To),
        ("DISPLAYFROM", SortBy::DisplayFrom),
        ("DISPLAYTO", SortBy::DisplayTo),
    ];
    let reverse = p.eat_word("REVERSE");
    if reverse {
        p.space()?;
    }
    let key = KEYS.into_iter().find(|(word, _)| p.eat_word(word));
    key.map(|(_, by)| SortKey { by, reverse }).ok_or(Bad("This is no sort criterion"))
}

/// The charset, which must be there, and the space behind it.
fn charset(p: &mut Parser<'_>) -> Parsed<String> {
    let charset = p.astring_text().map_err(|_| Bad("A charset is missing here"))?;
    p.space().map_err(|_| Bad("A charset and search keys are missing here"))?;
    Ok(charset)
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::super::returns::Returns;
    use super::*;

    fn sorts(text: &str) -> Result<SortArgs, Unsearchable> {
        sort(&mut Parser::new(text.as_bytes(), Names::Utf7))
    }

    fn threads(text: &str) -> Result<ThreadArgs, Unsearchable> {
        thread(&mut Parser::new(text.as_bytes(), Names::Utf7))
    }

    #[test]
    fn every_criterion_is_understood_in_any_case() {
        let args = sorts("(subject REVERSE Date) UTF-8 ALL").expect("is one");
        let key = |by, reverse| SortKey { by, reverse };
        assert_eq!(args.keys, [key(SortBy::Subject, false), key(SortBy::Date, true)]);
        assert_eq!((args.search.terms.len(), args.search.returns), (1, None));
        let all = "(ARRIVAL CC DATE FROM SIZE SUBJECT TO DISPLAYFROM DISPLAYTO) \"us-ascii\" 1:* UNSEEN";
        assert_eq!(sorts(all).expect("is one").keys.len(), 9);
        let args = sorts("RETURN (COUNT) (REVERSE ARRIVAL) KOI8-R TEXT x").expect("is one");
        assert_eq!(args.search.returns, Some(Returns { count: true, ..Returns::default() }));
        assert_eq!(threads("references utf-8 ALL").expect("is one").by, ThreadBy::References);
        assert_eq!(threads("REFS UTF-8 SEEN TO x").expect("is one").search.terms.len(), 2);
        assert_eq!(threads("OrderedSubject \"UTF-8\" ALL").expect("is one").by, ThreadBy::OrderedSubject);
    }

    #[test]
    fn what_is_no_sort_or_thread_is_refused() {
        for text in [
            "",
            "()",
            "() UTF-8 ALL",
            "(DATE)",
            "(DATE) ",
            "(DATE) UTF-8",
            "(DATE) UTF-8 ",
            "DATE UTF-8 ALL",
            "(REVERSE) UTF-8 ALL",
            "(REVERSE REVERSE DATE) UTF-8 ALL",
            "(NONSENSE) UTF-8 ALL",
            "(DATE)UTF-8 ALL",
            "(DATE) UTF-8 NONSENSE",
            "RETURN (NONSENSE) (DATE) UTF-8 ALL",
            "RETURN () UTF-8 ALL",
            "(DATE) RETURN () UTF-8 ALL",
        ] {
            assert!(matches!(sorts(text), Err(Unsearchable::Bad(_))), "{text}");
        }
        for text in [
            "",
            "REFERENCES",
            "REFERENCES UTF-8",
            "JWZ UTF-8 ALL",
            "REFSX UTF-8 ALL",
            "RETURN () REFS UTF-8 ALL",
        ] {
            assert!(matches!(threads(text), Err(Unsearchable::Bad(_))), "{text}");
        }
        assert_eq!(sorts("(DATE) X-NONE ALL"), Err(Unsearchable::Charset { save: false }));
        assert_eq!(sorts("RETURN (SAVE) (DATE) X-NONE ALL"), Err(Unsearchable::Charset { save: true }));
        assert_eq!(threads("REFS X-NONE ALL"), Err(Unsearchable::Charset { save: false }));
    }

    #[test]
    fn the_number_of_criteria_is_bounded() {
        let many = vec!["SIZE"; limits::SORT_KEYS_MAX].join(" ");
        assert!(sorts(&format!("({many}) UTF-8 ALL")).is_ok());
        assert!(sorts(&format!("({many} SIZE) UTF-8 ALL")).is_err());
    }
}

//! The table and the JSON: each row a figure of ours, the peer's or the limit's in the same run, and the bar.

use std::fmt::Write as _;

/// One measured piece of work.
pub struct Row {
    pub work: String,
    pub unit: &'static str,
    pub ours: f64,
    /// What ours is compared with, measured in this run: Dovecot + Postfix, or a limit of the machine.
    pub against: Option<(&'static str, f64)>,
    pub bar: Bar,
}

/// What the figure must be.
pub enum Bar {
    /// At least this multiple of `against`.
    AtLeastTimes(f64),
    /// At most this multiple of `against`.
    AtMostTimes(f64),
    AtLeast(f64),
    AtMost(f64),
    /// Shown, not judged.
    Shown,
}

impl Row {
    fn met(&self) -> Option<bool> {
        let against = self.against.map(|(_, figure)| figure);
        match self.bar {
            Bar::AtLeastTimes(times) => against.map(|figure| self.ours >= times * figure),
            Bar::AtMostTimes(times) => against.map(|figure| self.ours <= times * figure),
            Bar::AtLeast(figure) => Some(self.ours >= figure),
            Bar::AtMost(figure) => Some(self.ours <= figure),
            Bar::Shown => None,
        }
    }

    fn wanted(&self) -> String {
        match self.bar {
            Bar::AtLeastTimes(times) => format!(">= {times} x"),
            Bar::AtMostTimes(times) => format!("<= {times} x"),
            Bar::AtLeast(figure) => format!(">= {figure}"),
            Bar::AtMost(figure) => format!("<= {figure}"),
            Bar::Shown => String::new(),
        }
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<62} {:>12} {:<6} {:>12} {:<18} {:>7} {:>10}  ",
        "work", "pillarbox", "unit", "against", "", "ratio", "bar"
    );
    for row in rows {
        let (name, figure, ratio) = match row.against {
            Some((name, figure)) => (name, format!("{figure:.2}"), format!("{:.2}", row.ours / figure)),
            None => ("", String::new(), String::new()),
        };
        let verdict = match row.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let _ = writeln!(
            out,
            "{:<62} {:>12.2} {:<6} {:>12} {:<18} {:>7} {:>10}  {verdict}",
            row.work,
            row.ours,
            row.unit,
            figure,
            name,
            ratio,
            row.wanted()
        );
    }
    out
}

pub fn json(rows: &[Row]) -> String {
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let (name, figure) = row.against.map_or(("", "null".into()), |(name, figure)| (name, format!("{figure:.4}")));
            let met = row.met().map_or("null".into(), |met| met.to_string());
            format!(
                "  {{\"work\": \"{}\", \"unit\": \"{}\", \"ours\": {:.4}, \"against\": \"{name}\", \"figure\": {figure}, \"bar\": \"{}\", \"met\": {met}}}",
                row.work, row.unit, row.ours, row.wanted()
            )
        })
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

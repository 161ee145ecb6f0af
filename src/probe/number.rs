//! From text to a finite number, and the short words for what is none.

pub use crate::run::words::millis;
use std::time::Duration;

use crate::run::NoData;
use crate::run::answers;
use crate::run::clean;

/// Characters of foreign text in a reason.
const QUOTED: usize = 120;

/// `text` as a finite number.
pub fn parse(text: &str) -> Result<f64, NoData> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NoData::new("empty answer"));
    }
    match text.parse::<f64>() {
        Ok(number) => finite(number),
        Err(_) => Err(NoData::new(answers::NUMBER.told(&quoted(text)))),
    }
}

/// NaN and the infinities are answers, but no numbers to judge by: every comparison with NaN is false.
pub fn finite(number: f64) -> Result<f64, NoData> {
    if number.is_nan() {
        Err(NoData::new("NaN"))
    } else if number.is_infinite() {
        Err(NoData::new(if number > 0.0 { "+Inf" } else { "-Inf" }))
    } else {
        Ok(number)
    }
}

/// Foreign text, safe and short.
pub fn quoted(text: &str) -> String {
    clean::line(text.trim(), QUOTED)
}

/// `5 s`, `250 ms`, `10 min`.
pub fn words(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0 s".to_owned(),
        _ if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        _ => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_what_is_none() {
        let reason = |text| parse(text).map_err(|none| none.reason);
        assert_eq!(reason(" 1.5e3\n"), Ok(1500.0));
        assert_eq!(reason("-0"), Ok(-0.0));
        assert_eq!(reason("NaN"), Err("NaN".to_owned()));
        assert_eq!(reason("+Inf"), Err("+Inf".to_owned()));
        assert_eq!(reason("1e999"), Err("+Inf".to_owned()));
        assert_eq!(reason("\n"), Err("empty answer".to_owned()));
        assert_eq!(reason("t\x1b[31m"), Err("not a number: t\\x1b[31m".to_owned()));
    }

    #[test]
    fn durations_in_words() {
        let words = [0, 250, 1500, 5000, 600_000].map(|ms| words(Duration::from_millis(ms)));
        assert_eq!(words, ["0 s", "250 ms", "1500 ms", "5 s", "10 min"]);
    }
}

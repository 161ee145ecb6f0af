//! How an answer is refused that is not what was asked for: with its words, and without them where columns are masked.

use std::borrow::Cow;

/// What is said around an answer, and what is said where it must not be quoted.
pub struct Unfit {
    before: &'static str,
    after: &'static str,
    untold: &'static str,
}

/// Of a batch's completeness query.
pub const COUNT: Unfit = Unfit {
    before: "the completeness query answered ",
    after: "; it must answer a whole number",
    untold: "the completeness query answered something that is not a whole number",
};
/// Of the probe of a step outside of a transaction.
pub const TRUTH: Unfit = Unfit {
    before: "its first cell is ",
    after: ", which is neither true nor false",
    untold: "its first cell is neither true nor false",
};
/// Of a probe that measures.
pub const NUMBER: Unfit = Unfit { before: "not a number: ", after: "", untold: "not a number" };

impl Unfit {
    pub fn told(&self, answer: &str) -> String {
        format!("{}{answer}{}", self.before, self.after)
    }

    /// An answer may hold any words: it ends where the last of its kind ends.
    fn cut(&self, text: &str) -> Option<String> {
        let (head, rest) = text.split_once(self.before)?;
        let tail = match self.after {
            "" => "",
            after => rest.rsplit_once(after).map_or("", |(_, tail)| tail),
        };
        Some(format!("{head}{}{tail}", self.untold))
    }
}

/// A text without the answer that it refuses.
pub fn untold(text: &str) -> Cow<'_, str> {
    let cut = [COUNT, TRUTH, NUMBER].iter().find_map(|unfit| unfit.cut(text));
    cut.map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_or_not_whatever_it_says() {
        for unfit in [COUNT, TRUTH] {
            for answer in ["ada", unfit.after, unfit.before, "a, which is neither"] {
                let told = format!("it failed: {} (x)", unfit.told(answer));
                assert!(told.contains(answer));
                assert_eq!(untold(&told), format!("it failed: {} (x)", unfit.untold));
            }
        }
        assert_eq!(untold(&NUMBER.told("ada")), "not a number");
        assert_eq!(untold(&format!("{}ada, cut off", TRUTH.before)), TRUTH.untold);
        assert_eq!(untold("no answer in 5 s"), "no answer in 5 s");
    }
}

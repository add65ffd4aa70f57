//! Formats an error with all its causes in one line. A library's message such as "error sending
//! request" does not contain the reason, which is only in the error's source.

use std::error::Error;

/// Returns the error and all its causes in one line, for a log or a dead job. The text must not be sent to a client.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // A message that the text already contains is left out. A transparent error, for example, has the same message
        // as its source.
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("error sending request")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn each_cause_is_shown_once() {
        let error = Outer(std::io::Error::other(Outer(std::io::Error::other("unknown issuer"))));
        assert_eq!(chain(&error), "error sending request: unknown issuer");
    }
}

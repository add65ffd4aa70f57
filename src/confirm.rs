//! Asks before a command deletes something.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::bail;

/// The name of an operator in the history of what a command deletes or restores.
pub(crate) const OPERATOR: &str = "the command line";

/// Returns if `yes` is set or the user at the terminal answers "y".
///
/// # Errors
/// If the user answers anything else, or there is no terminal to ask at.
pub(crate) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("{question} Nothing was done, because there is no terminal to answer at; add --yes");
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    if !["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        bail!("nothing was done");
    }
    Ok(())
}

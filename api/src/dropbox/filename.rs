//! Sanitizes file names from clients for display. A file name is never used as a path, and is always escaped in a
//! header.

/// The longest file name, in characters.
const MAX_FILENAME_CHARS: usize = 120;

/// Returns the last component of `name` without control characters, marks that change the writing direction, and
/// invisible characters. It has at most [`MAX_FILENAME_CHARS`] characters. If nothing is left,
/// returns "picture".
pub(crate) fn sanitize_filename(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String =
        last.chars().filter(|c| !c.is_control() && !is_invisible(*c)).take(MAX_FILENAME_CHARS).collect();
    match clean.trim().trim_matches('.') {
        "" => "picture".to_owned(),
        _ => clean.trim().to_owned(),
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_labels() {
        for (name, expected) in [
            ("cat.png", "cat.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\fakepath\\cat.jpg", "cat.jpg"),
            ("a\0b\r\nSet-Cookie: x", "abSet-Cookie: x"),
            ("cat\u{202E}gnp.exe", "catgnp.exe"),
            ("..", "picture"),
            ("", "picture"),
            ("\u{200F}\u{FEFF}", "picture"),
            ("größe 猫.png", "größe 猫.png"),
        ] {
            assert_eq!(sanitize_filename(name), expected, "{name:?}");
        }
        assert_eq!(sanitize_filename(&"x".repeat(4000)).chars().count(), MAX_FILENAME_CHARS);
    }
}

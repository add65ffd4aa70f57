//! What a form of the page has done. The page that follows says it, because a browser without a script shows nothing
//! else.

use std::str::FromStr;

use domain::UnknownValue;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Uploaded,
    Cropped,
    Claimed,
    Discarded,
    AvatarRemoved,
    LoggedOut,
}

/// The notices, their names in addresses, and their texts.
const NOTICES: [(Notice, &str, &str); 6] = [
    (Notice::Uploaded, "uploaded", "The picture is uploaded. You can crop it now, or use it as your avatar."),
    (Notice::Cropped, "cropped", "The crop is saved."),
    (Notice::Claimed, "claimed", "The picture is now your avatar."),
    (Notice::Discarded, "discarded", "The picture is discarded."),
    (Notice::AvatarRemoved, "avatar_removed", "Your avatar is removed."),
    (Notice::LoggedOut, "logged_out", "You are logged out."),
];

impl Notice {
    fn row(self) -> Option<&'static (Self, &'static str, &'static str)> {
        NOTICES.iter().find(|(notice, ..)| *notice == self)
    }

    /// Returns the name in the query of the page.
    pub(super) fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, _)| name)
    }

    /// Returns the text for the user.
    pub(super) fn text(self) -> &'static str {
        self.row().map_or("", |(_, _, text)| text)
    }
}

impl FromStr for Notice {
    type Err = UnknownValue;

    fn from_str(name: &str) -> Result<Self, UnknownValue> {
        let found = NOTICES.iter().find(|(_, known, _)| *known == name);
        found.map(|(notice, ..)| *notice).ok_or_else(|| UnknownValue(name.to_owned()))
    }
}

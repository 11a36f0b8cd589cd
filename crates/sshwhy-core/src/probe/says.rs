//! What a server says about an account, in the words of the programs that say it: pam_unix, pam_nologin, pam_limits,
//! pam_faillock, nologin(8) of shadow, util-linux, FreeBSD and busybox, git-shell and the sftp-only wrappers.

/// The word of `account.says` for a line of a banner, of a prompt or of what a session printed. `let_in`: the login had
/// succeeded when it came.
pub fn account(text: &str, let_in: bool) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let is = |part: &str| lower.contains(part);
    if is("account has expired") {
        Some("expired")
    } else if is("required to change your password immediately")
        || is("your password has expired")
        || is("password change required but no tty")
        || is("password has expired")
    {
        Some("password-expired")
    } else if is("system is booting up") || is("unprivileged users are not permitted to log in") {
        Some("booting")
    } else if is("this account is currently not available")
        || is("this account is not available")
        || is("account is currently unavailable")
    {
        Some("shell-nologin")
    } else if is("too many logins for") {
        Some("too-many-logins")
    } else if is("account is locked") || is("account locked") || is("temporarily locked") {
        Some("locked")
    } else if !let_in
        && (is("going down")
            || is("maintenance")
            || is("logins are disabled")
            || is("no logins")
            || is("nologin"))
    {
        Some("nologin")
    } else {
        None
    }
}

/// The word of `session.says` for what a session printed before it ended.
pub fn session(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let is = |part: &str| lower.contains(part);
    if is("this service allows sftp connections only") {
        Some("sftp-only")
    } else if is("no space left on device") {
        Some("no-space")
    } else if is("disk quota exceeded") {
        Some("quota")
    } else if is("could not chdir to home directory") {
        Some("no-home")
    } else if is("resource temporarily unavailable") || is("cannot allocate memory") {
        Some("no-resources")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_by_their_words() {
        for (text, word) in [
            ("This account is currently not available.", "shell-nologin"),
            ("This account is not available", "shell-nologin"),
            (
                "Your account has expired; please contact your system administrator.",
                "expired",
            ),
            (
                "You are required to change your password immediately (administrator enforced).",
                "password-expired",
            ),
            ("There were too many logins for 'alice'.", "too-many-logins"),
            ("The account is locked due to 3 failed logins.", "locked"),
        ] {
            assert_eq!(account(text, true), Some(word), "{text}");
        }
        assert_eq!(
            account("maintenance tonight", true),
            None,
            "a message of the day"
        );
        assert_eq!(account("maintenance tonight", false), Some("nologin"));
        assert_eq!(account("Welcome to Debian", false), None);
        assert_eq!(
            session("This service allows sftp connections only."),
            Some("sftp-only")
        );
        assert_eq!(session("hello"), None);
    }
}

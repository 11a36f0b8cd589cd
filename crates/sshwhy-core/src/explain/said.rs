//! What the free text of a server's line says about causes: where one wording is used for many faults, the answer that it
//! carries decides (a PAM result, an NT status, the system's error, the client's own goodbye, what SELinux refused).

use super::reading::ServerLine;
use super::scene;
use crate::transcript;

type Causes = Vec<(&'static str, f32)>;

/// The causes that the line's text names, in place of those that its wording usually has.
pub fn causes(line: &ServerLine) -> Option<Causes> {
    let body = line.body.as_str();
    if let Some(cause) = system_error(body) {
        return Some(vec![cause]);
    }
    match line.message.slug {
        "pam-sss-received" | "pam-sss-access-denied" => pam_result(body),
        "pam-winbind-note" => nt_status(body).or_else(|| pam_result(body)),
        "pam-systemd-failed" => Some(if waited(body) {
            vec![("slow-login-logind", 0.8)]
        } else {
            Vec::new()
        }),
        "audit-record" => Some(selinux_refusal(body)),
        "audit-auth-failed" if body.contains("op=PAM:authentication") => {
            Some(vec![("wrong-password", 0.4)])
        }
        "kernel-segfault" if body.starts_with("sshd") => Some(vec![
            ("sshd-crashes", 0.72),
            ("directory-service-down", 0.1),
        ]),
        "internal-setuid-failed" if body.contains("Resource temporarily unavailable") => {
            Some(vec![("process-limit", 0.75)])
        }
        "dropbear-no-matching-algorithm" => scene::algorithm(body).map(|cause| vec![(cause, 0.92)]),
        // A machine without IPv6: the other family is listened on.
        "forward-bind-failed" if body == "socket: Address family not supported by protocol" => {
            Some(Vec::new())
        }
        "internal-privsep-message" if body.starts_with("mm_answer_sign") => {
            Some(vec![("host-key-unusable", 0.8)])
        }
        "connection-failed" if lost_on_the_way(body) => Some(vec![
            ("idle-connection-dropped", 0.4),
            ("reset-by-middlebox", 0.08),
        ]),
        // Java libraries give 3 whatever went wrong.
        "received-disconnect-kex-failed" if body.contains("java.") || body.contains("jsch.") => {
            Some(goodbye(body).unwrap_or_default())
        }
        slug if slug.starts_with("received-disconnect") => goodbye(body),
        _ => None,
    }
}

/// Errors of the operating system that mean the same in whatever line they stand.
fn system_error(body: &str) -> Option<(&'static str, f32)> {
    const ERRORS: [(&str, (&str, f32)); 4] = [
        ("No space left on device", ("disk-full", 0.88)),
        ("Disk quota exceeded", ("disk-full", 0.85)),
        ("Out of memory: Killed process", ("out-of-memory", 0.8)),
        ("Cannot allocate memory", ("out-of-memory", 0.8)),
    ];
    ERRORS
        .iter()
        .find(|(text, _)| body.contains(text))
        .map(|(_, cause)| *cause)
}

/// `received for user build: 9 (Authentication service cannot retrieve authentication info)`,
/// `PAM error: PAM_AUTH_ERR (7)`: the numbers are those of Linux-PAM's `_pam_types.h`.
fn pam_result(body: &str) -> Option<Causes> {
    let number = body
        .split([' ', '(', ')', ','])
        .rev()
        .find_map(|word| word.parse::<u8>().ok())?;
    Some(match number {
        4 | 9 => vec![("directory-service-down", 0.8)],
        6 => vec![("pam-denied", 0.85)],
        7 => vec![("wrong-password", 0.6)],
        10 => vec![("user-not-found", 0.7), ("directory-service-down", 0.1)],
        11 => vec![("account-faillock", 0.6)],
        12 | 27 => vec![("password-expired", 0.9)],
        13 => vec![("account-expired", 0.9)],
        _ => return None,
    })
}

/// Samba's answer for the domain.
fn nt_status(body: &str) -> Option<Causes> {
    const STATUS: [(&str, (&str, f32)); 12] = [
        ("NT_STATUS_WRONG_PASSWORD", ("wrong-password", 0.85)),
        ("NT_STATUS_LOGON_FAILURE", ("wrong-password", 0.6)),
        ("NT_STATUS_NO_SUCH_USER", ("user-not-found", 0.85)),
        ("NT_STATUS_ACCOUNT_LOCKED_OUT", ("account-faillock", 0.9)),
        ("NT_STATUS_ACCOUNT_DISABLED", ("account-locked", 0.9)),
        ("NT_STATUS_ACCOUNT_EXPIRED", ("account-expired", 0.92)),
        ("NT_STATUS_ACCOUNT_RESTRICTION", ("pam-denied", 0.75)),
        ("NT_STATUS_INVALID_LOGON_HOURS", ("pam-denied", 0.85)),
        ("NT_STATUS_INVALID_WORKSTATION", ("pam-denied", 0.85)),
        ("NT_STATUS_PASSWORD_EXPIRED", ("password-expired", 0.92)),
        ("NT_STATUS_PASSWORD_MUST_CHANGE", ("password-expired", 0.92)),
        (
            "NT_STATUS_NO_LOGON_SERVERS",
            ("directory-service-down", 0.92),
        ),
    ];
    STATUS
        .iter()
        .find(|(status, _)| body.contains(status))
        .map(|(_, cause)| vec![*cause])
}

/// logind or D-Bus was asked and did not answer in time.
fn waited(body: &str) -> bool {
    ["timed out", "Did not receive a reply", "Timeout"]
        .iter()
        .any(|words| body.contains(words))
}

/// The network's errors of a connection that stood.
fn lost_on_the_way(body: &str) -> bool {
    [
        "Broken pipe",
        "Connection reset by peer",
        "Connection timed out",
        "No route to host",
    ]
    .iter()
    .any(|error| body.ends_with(error))
}

/// What SELinux refused sshd. A refusal that was only noted (permissive) stopped nothing.
pub fn selinux_refusal(body: &str) -> Causes {
    let is_sshd = body.contains("comm=\"sshd") || body.contains(":sshd_t:");
    if !is_sshd || !body.contains("denied") || body.contains("permissive=1") {
        return Vec::new();
    }
    if body.contains(" name_bind ") {
        return vec![("selinux-port", 0.9)];
    }
    if body.contains("tclass=file")
        || body.contains("tclass=dir")
        || body.contains("tclass=lnk_file")
    {
        return vec![("selinux-context", 0.8)];
    }
    Vec::new()
}

/// The client's own reason: `3: com.jcraft.jsch.JSchException: Auth fail`. What the client would have printed, it says here.
fn goodbye(body: &str) -> Option<Causes> {
    let (_, said) = body.split_once(": ")?;
    let hit = transcript::find(said)?;
    let roots: Causes = hit
        .message
        .causes
        .iter()
        .filter(|(slug, _)| {
            crate::catalog::causes::by_slug(slug).is_some_and(|cause| !cause.is_symptom)
        })
        .copied()
        .collect();
    (!roots.is_empty()).then_some(roots)
}

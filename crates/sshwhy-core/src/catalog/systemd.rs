//! What systemd's own exit statuses say, and which settings of a unit lead to them (systemd.exec(5), "Process Exit Codes").

/// What systemd sets up before it runs a program: the exit status when that fails, the step's name, and the settings that
/// ask for it.
pub const STEPS: &[(u32, &str, &[&str])] = &[
    (200, "CHDIR", &["WorkingDirectory"]),
    (201, "NICE", &["Nice"]),
    (202, "FDS", &[]),
    (203, "EXEC", &["ExecStart", "ExecStartPre", "ExecCondition"]),
    (204, "MEMORY", &[]),
    (
        205,
        "LIMITS",
        &[
            "LimitNOFILE",
            "LimitNPROC",
            "LimitAS",
            "LimitMEMLOCK",
            "LimitCORE",
            "LimitSTACK",
            "LimitDATA",
            "LimitFSIZE",
            "LimitRTPRIO",
            "LimitNICE",
        ],
    ),
    (206, "OOM_ADJUST", &["OOMScoreAdjust"]),
    (207, "SIGNAL_MASK", &["IgnoreSIGPIPE"]),
    (208, "STDIN", &["StandardInput", "TTYPath"]),
    (209, "STDOUT", &["StandardOutput"]),
    (210, "CHROOT", &["RootDirectory", "RootImage"]),
    (
        211,
        "IOPRIO",
        &["IOSchedulingClass", "IOSchedulingPriority"],
    ),
    (212, "TIMERSLACK", &["TimerSlackNSec"]),
    (213, "SECUREBITS", &["SecureBits"]),
    (
        214,
        "SETSCHEDULER",
        &["CPUSchedulingPolicy", "CPUSchedulingPriority"],
    ),
    (215, "CPUAFFINITY", &["CPUAffinity"]),
    (216, "GROUP", &["Group", "SupplementaryGroups"]),
    (217, "USER", &["User", "DynamicUser", "PrivateUsers"]),
    (
        218,
        "CAPABILITIES",
        &["CapabilityBoundingSet", "AmbientCapabilities"],
    ),
    (219, "CGROUP", &["Slice", "Delegate"]),
    (220, "SETSID", &[]),
    (221, "CONFIRM", &[]),
    (222, "STDERR", &["StandardError"]),
    (224, "PAM", &["PAMName"]),
    (225, "NETWORK", &["PrivateNetwork", "NetworkNamespacePath"]),
    (226, "NAMESPACE", NAMESPACE),
    (227, "NO_NEW_PRIVILEGES", &["NoNewPrivileges"]),
    (
        228,
        "SECCOMP",
        &["SystemCallFilter", "SystemCallArchitectures"],
    ),
    (229, "SELINUX_CONTEXT", &["SELinuxContext"]),
    (230, "PERSONALITY", &["Personality"]),
    (231, "APPARMOR", &["AppArmorProfile"]),
    (232, "ADDRESS_FAMILIES", &["RestrictAddressFamilies"]),
    (233, "RUNTIME_DIRECTORY", &["RuntimeDirectory"]),
    (
        235,
        "CHOWN",
        &["RuntimeDirectory", "StateDirectory", "LogsDirectory"],
    ),
    (236, "SMACK_PROCESS_LABEL", &["SmackProcessLabel"]),
    (237, "KEYRING", &["KeyringMode"]),
    (238, "STATE_DIRECTORY", &["StateDirectory"]),
    (239, "CACHE_DIRECTORY", &["CacheDirectory"]),
    (240, "LOGS_DIRECTORY", &["LogsDirectory"]),
    (241, "CONFIGURATION_DIRECTORY", &["ConfigurationDirectory"]),
    (242, "NUMA_POLICY", &["NUMAPolicy", "NUMAMask"]),
    (
        243,
        "CREDENTIALS",
        &["LoadCredential", "LoadCredentialEncrypted", "SetCredential"],
    ),
    (245, "BPF", &["RestrictFileSystems"]),
];

/// Settings that give the service a view of its own on the file system. Those that name paths come first.
pub const NAMESPACE: &[&str] = &[
    "InaccessiblePaths",
    "InaccessibleDirectories",
    "ReadWritePaths",
    "ReadWriteDirectories",
    "ReadOnlyPaths",
    "ReadOnlyDirectories",
    "ExecPaths",
    "NoExecPaths",
    "BindPaths",
    "BindReadOnlyPaths",
    "RootDirectory",
    "RootImage",
    "TemporaryFileSystem",
    "PrivateTmp",
    "PrivateDevices",
    "ProtectSystem",
    "ProtectHome",
];

/// Filters that end the process at the first system call they do not take, with the signal SIGSYS.
pub const CALL_FILTERS: &[&str] = &["SystemCallFilter", "SystemCallArchitectures"];

/// Calls without which sshd cannot serve a connection, and the sets of `systemd-analyze syscall-filter` that each is in. What is
/// allowed without being named (`@default`) is left out.
const NEEDED_CALLS: &[(&str, &[&str])] = &[
    ("socket", &["@network-io", "@system-service"]),
    ("bind", &["@network-io", "@system-service"]),
    ("accept", &["@network-io", "@system-service"]),
    ("clone", &["@process", "@system-service"]),
    ("openat", &["@file-system", "@system-service"]),
    ("setgroups", &["@setuid", "@privileged", "@system-service"]),
    ("setresuid", &["@setuid", "@privileged", "@system-service"]),
    ("setresgid", &["@setuid", "@system-service"]),
    ("chroot", &["@mount", "@privileged"]),
];

/// The first call that sshd needs and these values of `SystemCallFilter=` do not let it make, in the order of the unit; and which of
/// the values says so, where one does. The first value decides whether what it names is allowed or forbidden, later ones add
/// and take away (systemd.exec(5)).
pub fn refused_call(values: &[&str]) -> Option<(&'static str, Option<usize>)> {
    let forbids = |value: &str| value.starts_with('~');
    let allow_list = !forbids(values.first()?);
    let names = |value: &str, call: &str, sets: &[&str]| {
        value
            .trim_start_matches('~')
            .split_ascii_whitespace()
            .map(|word| word.split(':').next().unwrap_or_default())
            .any(|word| word == call || sets.contains(&word))
    };
    NEEDED_CALLS.iter().find_map(|(call, sets)| {
        let last = values
            .iter()
            .enumerate()
            .rev()
            .find(|(_, value)| names(value, call, sets));
        match last {
            Some((i, value)) if forbids(value) => Some((*call, Some(i))),
            None if allow_list => Some((*call, None)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_refuses_what_sshd_needs_or_does_not() {
        assert_eq!(refused_call(&[]), None);
        assert_eq!(refused_call(&["~@obsolete @clock"]), None);
        assert_eq!(
            refused_call(&["~@obsolete", "~@privileged:EPERM"]),
            Some(("setgroups", Some(1)))
        );
        assert_eq!(refused_call(&["~@setuid", "@setuid"]), None);
        // The usual advice for services lacks the one call with which sshd locks its unprivileged half in.
        assert_eq!(refused_call(&["@system-service"]), Some(("chroot", None)));
        assert_eq!(refused_call(&["@system-service", "chroot"]), None);
        assert_eq!(
            refused_call(&["@system-service @mount", "~@network-io"]),
            Some(("socket", Some(1)))
        );
    }

    #[test]
    fn steps_are_sorted_and_named_once() {
        assert!(
            STEPS
                .windows(2)
                .all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1)
        );
        assert!(STEPS.iter().all(|s| (200..=245).contains(&s.0)));
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

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

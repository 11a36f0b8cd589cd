//! Gives rights up: another user, files that may be seen (landlock), calls that may be made (seccomp).
//!
//! Each layer is there where the kernel has it; what is missing is said and no reason to stop, because no protection at all is
//! worse. The reader keeps one right, to read any file, as some systems write their log for root alone; landlock then says
//! which files these are.

use crate::sys::process;
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Groups whose members may read logs: Debian's and Ubuntu's, systemd's.
const GROUPS: [&str; 2] = ["adm", "systemd-journal"];

/// Who `name` is: user and group.
pub fn lookup(name: &str) -> Option<(u32, u32)> {
    for name in [name, "nobody"] {
        let found = std::fs::read_to_string("/etc/passwd")
            .unwrap_or_default()
            .lines()
            .find_map(|l| {
                let mut fields = l.split(':');
                let same = fields.next() == Some(name);
                let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
                same.then_some((uid, gid))
            });
        if found.is_some() {
            return found;
        }
    }
    None
}

fn groups() -> Vec<u32> {
    std::fs::read_to_string("/etc/group")
        .unwrap_or_default()
        .lines()
        .filter_map(|l| {
            let mut fields = l.split(':');
            let name = fields.next()?;
            let gid = fields.nth(1)?.parse().ok()?;
            GROUPS.contains(&name).then_some(gid)
        })
        .collect()
}

/// Becomes that user. Says what it could not do.
pub fn user(name: &str) -> Result<String, String> {
    let (uid, gid) = lookup(name).ok_or_else(|| {
        format!("there is neither a user {name} nor nobody: add one (useradd --system {name})")
    })?;
    let mut all = groups();
    all.push(gid);
    process::become_user(uid, gid, &all, true)
        .map_err(|e| format!("cannot become user {name}: {e}"))?;
    Ok(format!("user {uid}"))
}

/// Only these folders from now on: what programs need to run, what logs are read from, and what is written.
pub fn files(read: &[PathBuf], write: &[PathBuf]) -> String {
    match restrict(read, write) {
        Ok(RulesetStatus::FullyEnforced) => "landlock".to_owned(),
        Ok(RulesetStatus::PartiallyEnforced) => "landlock in part".to_owned(),
        Ok(RulesetStatus::NotEnforced) => "no landlock: this kernel has none".to_owned(),
        Err(e) => format!("no landlock: {e}"),
    }
}

fn restrict(read: &[PathBuf], write: &[PathBuf]) -> Result<RulesetStatus, landlock::RulesetError> {
    let abi = ABI::V3;
    let system = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/nix"].map(PathBuf::from);
    let seen = ["/etc", "/proc", "/run", "/sys", "/var/log", "/dev"].map(PathBuf::from);
    let run = AccessFs::from_read(abi);
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules: Vec<(PathBuf, _)> = Vec::new();
    rules.extend(system.into_iter().map(|p| (p, run)));
    // A rule holds for the folder that is there now. One that is removed and made again is another, so the folder above it
    // is what may be seen.
    let lasting = |p: &PathBuf| {
        let above = p
            .ancestors()
            .skip(1)
            .find(|a| a.is_dir() && a.parent().is_some());
        match above {
            Some(above) if !p.is_file() => above.to_owned(),
            _ => p.clone(),
        }
    };
    rules.extend(
        seen.into_iter()
            .chain(read.iter().map(lasting))
            .map(|p| (p, look)),
    );
    rules.extend(
        write
            .iter()
            .cloned()
            .map(|p| (p, AccessFs::from_all(abi) & !AccessFs::Execute)),
    );
    rules.push((PathBuf::from("/dev/null"), look | AccessFs::WriteFile));
    let beneath = rules.into_iter().filter_map(|(path, what)| {
        // What is not there needs no rule.
        let fd = PathFd::new(&path).ok()?;
        Some(Ok::<_, landlock::RulesetError>(PathBeneath::new(fd, what)))
    });
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(beneath)?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// Calls that a reader of logs never makes, and that break out of confinements.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_mknodat,
    libc::SYS_open_by_handle_at,
    libc::SYS_personality,
];

/// Refuses [`REFUSED`] to this process and its children.
pub fn calls() -> String {
    let apply = || -> Result<(), String> {
        let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
            REFUSED.iter().map(|n| (*n, Vec::new())).collect();
        let arch = std::env::consts::ARCH
            .try_into()
            .map_err(|_| format!("no filter for {}", std::env::consts::ARCH))?;
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM.cast_unsigned()),
            arch,
        )
        .map_err(|e| e.to_string())?;
        let program: BpfProgram = filter
            .try_into()
            .map_err(|e: seccompiler::BackendError| e.to_string())?;
        seccompiler::apply_filter_all_threads(&program).map_err(|e| e.to_string())
    };
    match apply() {
        Ok(()) => "seccomp".to_owned(),
        Err(e) => format!("no seccomp: {e}"),
    }
}

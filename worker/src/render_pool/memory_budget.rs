//! How much memory pictures may use: half of the container's limit or of the machine's memory, whichever is smaller.

use std::fs;
use std::path::Path;

/// The divisor of the available memory: pictures in progress may use one half, and everything else uses the other half.
const BUDGET_DIVISOR: u64 = 2;

/// The memory to assume if neither a container limit nor the machine's memory is known.
const FALLBACK_MEMORY: u64 = 1 << 30;

/// A memory budget in bytes for [`super::RenderPool`]: half of the control group's limit or of the machine's memory,
/// whichever is smaller.
pub fn default_budget() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = cgroup_limit(Path::new("/sys/fs/cgroup"), &groups);
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text));
    limit.into_iter().chain(machine).min().unwrap_or(FALLBACK_MEMORY) / BUDGET_DIVISOR
}

/// The smallest memory limit in bytes among the control groups in `groups`, which is the text of /proc/self/cgroup.
/// Reads control groups of version 2 and of version 1.
fn cgroup_limit(root: &Path, groups: &str) -> Option<u64> {
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let (root, file) = match controllers {
                "" => (root.to_owned(), "memory.max"),
                names if names.split(',').any(|name| name == "memory") => {
                    (root.join("memory"), "memory.limit_in_bytes")
                }
                _ => return None,
            };
            // Inside a container the path may be that of the host, but only the container's own group is mounted, as
            // the root. So every level up to the root is tried.
            let path = path.trim_start_matches('/');
            let levels = Path::new(path).ancestors().map(|level| root.join(level).join(file));
            levels.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()).min()
        })
        .min()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_of_the_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("memory.max", "max\n");
        write("a/memory.max", "700\n");
        write("a/b/memory.max", "900\n");
        assert_eq!(cgroup_limit(root.path(), "0::/a/b\n"), Some(700));
        assert_eq!(
            cgroup_limit(root.path(), "0::/elsewhere\n"),
            None,
            "this group is not mounted, and the root has no limit"
        );
        write("memory/memory.limit_in_bytes", "500\n");
        assert_eq!(cgroup_limit(root.path(), "5:cpu,memory:/x\n0::/a\n"), Some(500));
        assert_eq!(total_memory("MemTotal:       24000 kB\nMemFree: 1 kB\n"), Some(24_576_000));
        assert!(default_budget() > 0);
    }
}

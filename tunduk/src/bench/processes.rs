//! What the operating system says about processes: CPU time, memory, and what others do meanwhile.

use std::collections::HashMap;
use std::fs;

/// Clock ticks per second of the times in `/proc`; Linux shows them in this unit on every machine.
const TICKS: f64 = 100.0;

/// Seconds of CPU that these processes and all their descendants have used, with those of threads that have ended.
pub(super) fn cpu_seconds(roots: &[u32]) -> f64 {
    family(roots)
        .iter()
        .filter_map(|process| Stat::read(*process))
        .map(|stat| stat.cpu_seconds)
        .sum()
}

/// Mebibytes of memory resident in these processes and all their descendants.
pub(super) fn resident_mib(roots: &[u32]) -> f64 {
    family(roots)
        .iter()
        .filter_map(|process| status_kib(*process, "VmRSS:"))
        .sum::<f64>()
        / 1024.0
}

/// Mebibytes that were resident at most in one process since it started or since [`forget_peak`].
pub(super) fn peak_mib(process: u32) -> Option<f64> {
    status_kib(process, "VmHWM:").map(|kib| kib / 1024.0)
}

/// Sets a process' peak of resident memory to what is resident now.
pub(super) fn forget_peak(process: u32) {
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
}

/// These processes and all their descendants.
pub(super) fn family(roots: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(stat) = Stat::read(process) {
            children.entry(stat.parent).or_default().push(process);
        }
    }
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        if let Some(more) = children.get(process) {
            for child in more.clone() {
                if !found.contains(&child) {
                    found.push(child);
                }
            }
        }
        next += 1;
    }
    found
}

/// The words of a process' command line.
pub(super) fn command_line(process: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    bytes
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// Seconds that all processors together were busy since the machine started.
pub(super) fn machine_busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let field = |index: usize| -> f64 {
        line.split_whitespace()
            .nth(index)
            .and_then(|word| word.parse().ok())
            .unwrap_or(0.0)
    };
    // user, nice, system, irq, softirq, steal
    [1, 2, 3, 6, 7, 8].into_iter().map(field).sum::<f64>() / TICKS
}

/// The number of processors that this program may use.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

struct Stat {
    parent: u32,
    cpu_seconds: f64,
}

impl Stat {
    fn read(process: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The second field is the program's name in parentheses and may hold anything.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            cpu_seconds: (number(11)? + number(12)?) / TICKS,
        })
    }
}

fn status_kib(process: u32, name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_is_measured() {
        let own = std::process::id();
        assert!(resident_mib(&[own]) > 1.0);
        assert!(peak_mib(own).unwrap() > 1.0);
        let before = cpu_seconds(&[own]);
        let mut sum = 0_u64;
        while cpu_seconds(&[own]) < before + 0.02 {
            for number in 0..100_000_u64 {
                sum = sum.wrapping_mul(31).wrapping_add(number);
            }
        }
        assert_ne!(sum, 1);
        assert!(machine_busy_seconds() > 0.0);
        assert!(family(&[own]).contains(&own));
    }
}

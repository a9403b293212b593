//! The figures of a run, as a table for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::crypto::{BulkCosts, Costs};
use super::logs::Traces;
use super::processes;
use super::rounds::{LARGE, MIDDLE, SMALL};

/// A round at saturation. Times are microseconds of CPU of one exchange, in all processes where nothing else is said.
#[derive(Debug, Clone, Serialize)]
pub(super) struct SpeedRound {
    pub(super) limit: f64,
    /// The limit with a log whose file is preallocated.
    pub(super) limit_preallocated: f64,
    pub(super) measured: f64,
    /// In the two Security Servers alone.
    pub(super) servers: f64,
    pub(super) wall_per_second: f64,
    pub(super) chain: f64,
    /// Of one record.
    pub(super) log: f64,
    /// Of one record in a preallocated file.
    pub(super) log_preallocated: f64,
    pub(super) traces: Traces,
    pub(super) costs: Costs,
    pub(super) others: f64,
    pub(super) quiet: bool,
}

impl SpeedRound {
    fn ratio(&self) -> f64 {
        self.limit / self.measured
    }

    /// Exchanges per second that all processors together could do.
    fn capacity(&self) -> f64 {
        processes::processors() as f64 * 1e6 / self.measured
    }

    /// Exchanges a second to those that the CPU time would allow; where others took more than they may, to those
    /// that the rest of the machine would allow.
    fn wall_ratio(&self) -> f64 {
        let rest = if self.others <= WALL_OTHERS {
            1.0
        } else {
            1.0 - self.others
        };
        self.wall_per_second / (self.capacity() * rest).max(1.0)
    }

    /// Ratios of wall throughput: of the rounds in which others were nearly idle, if there are any.
    fn wall_ratios(rounds: &[Self]) -> Vec<f64> {
        let idle: Vec<f64> = rounds
            .iter()
            .filter(|round| round.others <= WALL_OTHERS)
            .map(Self::wall_ratio)
            .collect();
        if idle.is_empty() {
            rounds.iter().map(Self::wall_ratio).collect()
        } else {
            idle
        }
    }

    /// The quiet rounds, or all where fewer than three were quiet.
    pub(super) fn kept(rounds: &[Self]) -> Vec<&Self> {
        keep(rounds, |round| round.quiet)
    }
}

/// The part of the machine that others may use where wall time is judged.
const WALL_OTHERS: f64 = 0.05;

/// A round with one client. Times are microseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LatencyRound {
    pub(super) chain_p50: f64,
    pub(super) system_p50: f64,
    pub(super) system_p99: f64,
    pub(super) flush: f64,
    pub(super) costs: Costs,
    pub(super) others: f64,
    pub(super) quiet: bool,
}

impl LatencyRound {
    fn ratio(&self) -> f64 {
        let unavoidable = 2.0 * (self.costs.sign + self.costs.verify) + 4.0 * self.flush;
        (self.system_p50 - self.chain_p50) / unavoidable
    }
}

/// A round at half of saturation. Times are microseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PacedRound {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) others: f64,
}

impl PacedRound {
    /// Of the rounds in which others were nearly idle, if there are any.
    fn ratio(rounds: &[Self]) -> f64 {
        let idle = rounds.iter().any(|round| round.others <= WALL_OTHERS);
        let kept = rounds
            .iter()
            .filter(|round| !idle || round.others <= WALL_OTHERS);
        median(kept.map(|round| round.p99 / round.p50))
    }
}

/// A round with large bodies. Times are microseconds of CPU of one MB.
#[derive(Debug, Clone, Serialize)]
pub(super) struct BulkRound {
    /// Whether the request or the answer is large.
    pub(super) direction: &'static str,
    pub(super) stream: f64,
    pub(super) costs: BulkCosts,
    pub(super) write: f64,
    pub(super) measured: f64,
    /// From request to answer of one message.
    pub(super) milliseconds: f64,
    pub(super) others: f64,
}

/// A round of a country with a past and the same without: microseconds of CPU of one exchange.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PastRound {
    pub(super) without: f64,
    pub(super) with: f64,
    pub(super) quiet: bool,
}

impl BulkRound {
    /// A digest and a sequential write at each server; the consumer's server seals, the provider's seals and opens.
    fn limit(&self) -> f64 {
        self.stream + 2.0 * self.costs.sha512 + 3.0 * self.costs.aes_gcm + 2.0 * self.write
    }

    fn ratio(&self) -> f64 {
        self.limit() / self.measured
    }
}

/// A row of the table.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) way: &'static str,
    pub(super) bytes: usize,
    pub(super) clients: usize,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) cpu_ms: f64,
    pub(super) rss_mib: Option<f64>,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) speed: BTreeMap<&'static str, Vec<SpeedRound>>,
    pub(super) latency: BTreeMap<&'static str, Vec<LatencyRound>>,
    pub(super) paced: BTreeMap<&'static str, Vec<PacedRound>>,
    pub(super) bulk: Vec<BulkRound>,
    pub(super) growth_mib: BTreeMap<String, f64>,
    pub(super) idle_rss_mib: Vec<f64>,
    pub(super) loaded_rss_mib: Vec<f64>,
    pub(super) start_ms: Vec<f64>,
    pub(super) past: Vec<PastRound>,
    /// Resident memory without and with a past.
    pub(super) past_rss_mib: Option<[f64; 2]>,
    pub(super) past_start_ms: Vec<f64>,
    pub(super) rows: Vec<Row>,
    pub(super) seconds: f64,
}

/// The middle value; zero of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn keep<T>(rounds: &[T], quiet: impl Fn(&T) -> bool) -> Vec<&T> {
    let kept: Vec<&T> = rounds.iter().filter(|round| quiet(round)).collect();
    if kept.len() >= 3 {
        kept
    } else {
        rounds.iter().collect()
    }
}

/// Median, smallest and largest of some ratios.
fn spread(ratios: &[f64]) -> Value {
    let (least, most) = ratios
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), ratio| {
            (least.min(*ratio), most.max(*ratio))
        });
    json!({ "median": median(ratios.iter().copied()), "min": least, "max": most, "rounds": ratios.len() })
}

fn largest(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

impl Figures {
    fn added(&self) -> Vec<(&'static str, Vec<f64>)> {
        let ratios = |rounds: &Vec<LatencyRound>| {
            keep(rounds, |round| round.quiet)
                .into_iter()
                .map(LatencyRound::ratio)
                .collect()
        };
        self.latency
            .iter()
            .map(|(name, rounds)| (*name, ratios(rounds)))
            .collect()
    }

    /// What an exchange costs with a past, to what it costs without.
    fn past_ratio(&self) -> f64 {
        let kept = keep(&self.past, |round| round.quiet);
        median(kept.into_iter().map(|round| round.with / round.without))
    }

    /// The ratios of each direction.
    fn bulk_ratios(&self) -> Vec<(&'static str, Vec<f64>)> {
        ["request", "answer"]
            .into_iter()
            .map(|direction| {
                let rounds = self.bulk.iter();
                let ratios = rounds.filter(|round| round.direction == direction);
                (direction, ratios.map(BulkRound::ratio).collect::<Vec<_>>())
            })
            .filter(|(_, ratios)| !ratios.is_empty())
            .collect()
    }

    /// One object with the figures by which the exchange is judged, and below `detail` what they were made from.
    pub(super) fn json(&self) -> Value {
        let mut object = serde_json::Map::new();
        let mut part = |name: &str, value: Value| object.insert(name.to_owned(), value);
        let per_mode = |value: &dyn Fn(&SpeedRound) -> f64| -> Value {
            let of = |rounds: &Vec<SpeedRound>| {
                json!(median(SpeedRound::kept(rounds).into_iter().map(value)))
            };
            self.speed
                .iter()
                .map(|(name, rounds)| ((*name).to_owned(), of(rounds)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        part("E", per_mode(&SpeedRound::ratio));
        part(
            "E_preallocated_log",
            per_mode(&|round| round.limit_preallocated / round.measured),
        );
        let wall: serde_json::Map<_, _> = self
            .speed
            .iter()
            .map(|(name, rounds)| {
                let ratios = SpeedRound::wall_ratios(rounds);
                ((*name).to_owned(), json!(median(ratios.into_iter())))
            })
            .collect();
        part("wall_to_capacity", wall.into());
        part("wall_per_second", per_mode(&|round| round.wall_per_second));
        part("capacity_per_second", per_mode(&SpeedRound::capacity));
        part("limit_cpu_us", per_mode(&|round| round.limit));
        part("measured_cpu_us", per_mode(&|round| round.measured));
        part(
            "servers_exchanges_per_cpu_second",
            per_mode(&|round| 1e6 / round.servers),
        );
        let added = self.added();
        part(
            "added_p50_ratio",
            json!(largest(
                &added
                    .iter()
                    .map(|(_, ratios)| median(ratios.iter().copied()))
                    .collect::<Vec<_>>()
            )),
        );
        let paced = |rounds: &Vec<PacedRound>| json!(PacedRound::ratio(rounds));
        let paced: serde_json::Map<_, _> = self
            .paced
            .iter()
            .map(|(name, rounds)| ((*name).to_owned(), paced(rounds)))
            .collect();
        part("p99_to_p50_at_half", paced.into());
        let bulk = self.bulk_ratios();
        part(
            "bulk_ratio",
            json!(
                bulk.iter()
                    .map(|(_, ratios)| median(ratios.iter().copied()))
                    .reduce(f64::min)
            ),
        );
        part("bulk_growth_mib", json!(self.growth_mib));
        part("idle_rss_mib", json!(largest(&self.idle_rss_mib)));
        part("loaded_rss_mib", json!(largest(&self.loaded_rss_mib)));
        part(
            "start_ms",
            json!((!self.start_ms.is_empty()).then(|| median(self.start_ms.iter().copied()))),
        );
        part(
            "past_ratio",
            json!((!self.past.is_empty()).then(|| self.past_ratio())),
        );
        part("seconds", json!(self.seconds));
        part("processors", json!(processes::processors()));
        let spreads: serde_json::Map<_, _> = self
            .speed
            .iter()
            .map(|(name, rounds)| {
                let ratios: Vec<f64> = SpeedRound::kept(rounds)
                    .into_iter()
                    .map(SpeedRound::ratio)
                    .collect();
                ((*name).to_owned(), spread(&ratios))
            })
            .collect();
        let added: serde_json::Map<_, _> = added
            .into_iter()
            .map(|(name, ratios)| (name.to_owned(), spread(&ratios)))
            .collect();
        part(
            "detail",
            json!({
                "E": spreads,
                "added_p50_ratio": added,
                "bulk_ratio": bulk
                    .into_iter()
                    .map(|(direction, ratios)| (direction.to_owned(), spread(&ratios)))
                    .collect::<serde_json::Map<_, _>>(),
                "speed": self.speed,
                "latency": self.latency,
                "half_of_saturation": self.paced,
                "bulk": self.bulk,
                "start_ms": self.start_ms,
                "past": self.past,
                "past_rss_mib": self.past_rss_mib,
                "past_start_ms": self.past_start_ms,
                "table": self.rows,
            }),
        );
        object.into()
    }

    /// The same for people.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        self.speed_table(&mut text);
        self.latency_table(&mut text);
        for (direction, _) in self.bulk_ratios() {
            let of = |value: fn(&BulkRound) -> f64| {
                let rounds = self.bulk.iter();
                median(
                    rounds
                        .filter(|round| round.direction == direction)
                        .map(value),
                )
            };
            let _ = writeln!(
                text,
                "\n100 MiB {direction}, CPU ms of one MB: limit {:.2} (stream {:.2}, SHA-512 2 x {:.2}, AES-GCM 3 x {:.2}, write 2 x {:.2}), \
                 measured {:.2}, ratio {:.2} (at least 0.75); one message {:.0} ms",
                of(BulkRound::limit) / 1e3,
                of(|round| round.stream) / 1e3,
                of(|round| round.costs.sha512) / 1e3,
                of(|round| round.costs.aes_gcm) / 1e3,
                of(|round| round.write) / 1e3,
                of(|round| round.measured) / 1e3,
                of(BulkRound::ratio),
                of(|round| round.milliseconds),
            );
        }
        for (size, growth) in &self.growth_mib {
            let _ = writeln!(
                text,
                "memory grows by {growth:.1} MiB while a {size} passes (at most 16)"
            );
        }
        if !self.past.is_empty() {
            let [without, with] = self.past_rss_mib.unwrap_or_default();
            let _ = writeln!(
                text,
                "\nwith a past an exchange costs {:.2} of what it costs without (at most 1.1); resident {with:.1} instead of {without:.1} MiB; start {:.0} ms",
                self.past_ratio(),
                median(self.past_start_ms.iter().copied()),
            );
        }
        let _ = writeln!(text);
        if let Some(idle) = largest(&self.idle_rss_mib) {
            let _ = writeln!(
                text,
                "one Security Server at rest {idle:.1} MiB (at most 35)"
            );
        }
        if let Some(loaded) = largest(&self.loaded_rss_mib) {
            let _ = writeln!(text, "with 64 clients {loaded:.1} MiB (at most 150)");
        }
        if !self.start_ms.is_empty() {
            let start = median(self.start_ms.iter().copied());
            let _ = writeln!(
                text,
                "start to first signed exchange {start:.0} ms (at most 300)"
            );
        }
        self.rows_table(&mut text);
        let _ = writeln!(text, "\n{:.0} s in all", self.seconds);
        text
    }

    fn speed_table(&self, text: &mut String) {
        if self.speed.is_empty() {
            return;
        }
        let _ = writeln!(
            text,
            "\n1 KiB, 128 clients, CPU us of one exchange (all processes)\n{:15} {:>6} {:>6} {:>7} {:>6} {:>5} {:>7} {:>8} {:>5} {:>11} {:>9} {:>9} {:>6} {:>8} {:>8}",
            "",
            "sign",
            "verify",
            "chain",
            "record",
            "hash",
            "limit",
            "measured",
            "E",
            "min..max",
            "wall/s",
            "capacity",
            "ratio",
            "servers",
            "p99/p50"
        );
        for (name, rounds) in &self.speed {
            let kept = SpeedRound::kept(rounds);
            let of = |value: fn(&SpeedRound) -> f64| median(kept.iter().map(|round| value(round)));
            let ratios: Vec<f64> = kept.iter().map(|round| round.ratio()).collect();
            let paced = self
                .paced
                .get(name)
                .map_or(0.0, |rounds| PacedRound::ratio(rounds));
            let _ = writeln!(
                text,
                "{name:15} {:6.1} {:6.1} {:7.1} {:6.1} {:5.2} {:7.1} {:8.1} {:5.2} {:>11} {:9.0} {:9.0} {:6.2} {:8.1} {:8.1}",
                of(|round| round.costs.sign),
                of(|round| round.costs.verify),
                of(|round| round.chain),
                of(|round| round.log),
                of(|round| round.costs.hash_message),
                of(|round| round.limit),
                of(|round| round.measured),
                of(SpeedRound::ratio),
                format!(
                    "{:.2}..{:.2}",
                    ratios.iter().copied().fold(f64::MAX, f64::min),
                    ratios.iter().copied().fold(0.0, f64::max)
                ),
                of(|round| round.wall_per_second),
                of(SpeedRound::capacity),
                median(SpeedRound::wall_ratios(rounds).into_iter()),
                of(|round| round.servers),
                paced,
            );
            let _ = writeln!(
                text,
                "{:15} on disk for an exchange: {:.2} records of {:.0} bytes, {:.3} signatures, {:.3} verified, {:.1} messages each; E with a preallocated log {:.2}",
                "",
                of(|round| round.traces.records),
                of(|round| round.traces.record_bytes),
                of(|round| round.traces.signatures),
                of(|round| round.traces.verifications),
                of(|round| round.traces.batch),
                of(|round| round.limit_preallocated / round.measured),
            );
            let quiet = rounds.iter().filter(|round| round.quiet).count();
            if quiet < rounds.len() {
                let _ = writeln!(
                    text,
                    "{:15} {quiet} of {} rounds were quiet",
                    "",
                    rounds.len()
                );
            }
        }
    }

    fn latency_table(&self, text: &mut String) {
        for (name, rounds) in &self.latency {
            let kept = keep(rounds, |round| round.quiet);
            let of =
                |value: fn(&LatencyRound) -> f64| median(kept.iter().map(|round| value(round)));
            let _ = writeln!(
                text,
                "\n{name}, one client, us: plain chain p50 {:.0}, exchange p50 {:.0} p99 {:.0}, flush {:.0}; added p50 to 2 signs, 2 verifications and 4 flushes {:.2} (at most 1.2)",
                of(|round| round.chain_p50),
                of(|round| round.system_p50),
                of(|round| round.system_p99),
                of(|round| round.flush),
                of(LatencyRound::ratio),
            );
        }
    }

    fn rows_table(&self, text: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        let _ = writeln!(
            text,
            "\n{:15} {:>8} {:>8} {:>10} {:>10} {:>10} {:>12} {:>8}",
            "", "size", "clients", "per s", "p50 ms", "p99 ms", "CPU ms each", "RSS MiB"
        );
        for row in &self.rows {
            let size = match row.bytes {
                SMALL => "1 KiB",
                MIDDLE => "100 KiB",
                LARGE => "100 MiB",
                _ => "",
            };
            let rss = row
                .rss_mib
                .map_or_else(String::new, |mib| format!("{mib:.1}"));
            let _ = writeln!(
                text,
                "{:15} {size:>8} {:8} {:10.1} {:10.3} {:10.3} {:12.3} {rss:>8}",
                row.way, row.clients, row.per_second, row.p50_ms, row.p99_ms, row.cpu_ms
            );
        }
    }
}

//! The rounds of measuring. What is compared stands side by side in time, so that the noise of a shared machine cancels:
//! ratios are taken within a round, and the median of the rounds is reported.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pki::KeyType;

use super::crypto::{BulkCosts, Costs, Keys, bulk};
use super::journal::{Ground, Journal};
use super::load::{Job, Outcome, Shape, Until};
use super::programs::{Chain, Load, Others};
use super::report::{
    BulkRound, Figures, LatencyRound, PacedRound, PastRound, Row, SpeedRound, median,
};
use super::stage::{MODES, Mode, Past, Stage, parties};
use super::{ExchangeOptions, Failure, processes};

/// Bytes of a small message.
pub(super) const SMALL: usize = 1024;
/// Bytes of a middle message.
pub(super) const MIDDLE: usize = 100 * 1024;
/// Bytes of a large body.
pub(super) const LARGE: usize = 100 * 1024 * 1024;
/// Requests under way when the servers are saturated.
pub(super) const SATURATED: usize = 128;
/// Pairs of short slices in a round with one client.
const LATENCY_SLICES: u32 = 8;
/// Messages in a batch of which the limit is taken.
const BATCH: f64 = 50.0;

/// Measures all parts that are wanted.
pub(super) fn exchange(options: &ExchangeOptions) -> Result<(), Failure> {
    let start = Instant::now();
    let (folder, _lock) = own_folder(&options.state)?;
    let mut bench = Bench {
        rounds: options.rounds.max(1),
        chain: Chain::start(&folder)?,
        load: Load::start()?,
        journal: Journal::create(&folder)?,
        figures: Figures::default(),
    };
    let wanted =
        |part: &str| options.only.is_empty() || options.only.iter().any(|only| only == part);
    if wanted("table") {
        bench.tabulate("direct", &Chain::provider_url(), None)?;
        bench.tabulate("plain chain", &Chain::url(), None)?;
    }
    let past = Past {
        records: options.history,
        subsystems: options.subsystems,
    };
    let mut compared = past.is_none();
    for mode in MODES {
        if !options.modes.is_empty() && !options.modes.iter().any(|name| name == mode.name) {
            continue;
        }
        eprintln!("bench: {} ({} s)", mode.name, start.elapsed().as_secs());
        let mut stage = Stage::start(mode, &folder, Past::default())?;
        if wanted("memory") {
            bench.idle(&stage);
        }
        // Caches, connections and the log's first segment.
        bench.system(&stage, SATURATED, Until::Milliseconds(1500))?;
        if wanted("speed") {
            bench.speed(mode, &mut stage)?;
        }
        if wanted("latency") && !mode.batch {
            bench.latency(mode, &stage)?;
        }
        if wanted("memory") {
            bench.loaded(&stage)?;
        }
        if !compared && wanted("past") {
            compared = true;
            let mut full = Stage::start(mode, &folder, past)?;
            bench.with_past(mode, &mut stage, &mut full)?;
            full.end();
        }
        if wanted("table") {
            bench.tabulate(mode.name, "", Some(&stage))?;
        }
        if wanted("bulk") && mode.name == "rsa2048" {
            bench.bulk(&stage)?;
        }
        if wanted("start") && mode.name == "rsa2048" {
            bench.figures.start_ms = stage.start_times(5)?;
        }
        stage.end();
    }
    bench.figures.seconds = start.elapsed().as_secs_f64();
    eprint!("{}", bench.figures.table());
    if options.json {
        println!("{:#}", bench.figures.json());
    }
    // Its processes end before their files go; the logs are gigabytes.
    drop(bench);
    empty(&folder)
}

struct Bench {
    rounds: usize,
    chain: Chain,
    load: Load,
    journal: Journal,
    figures: Figures,
}

/// One slice: what came out and what it cost.
struct Slice {
    outcome: Outcome,
    /// Microseconds of CPU of one exchange, in all processes.
    cpu: f64,
    /// The same, in the two Security Servers alone.
    server_cpu: f64,
    /// The part of the machine that others used.
    others: f64,
}

fn job(url: String, shape: Shape, bytes: usize, clients: usize, until: Until) -> Job {
    Job {
        url,
        parties: parties(),
        shape,
        bytes,
        clients,
        until,
        rate: None,
        each: false,
    }
}

impl Bench {
    fn measured(&mut self, job: &Job, system: &[u32], servers: &[u32]) -> Result<Slice, Failure> {
        let mut all = self.chain.processes();
        all.push(self.load.id());
        all.extend(system);
        all.sort_unstable();
        all.dedup();
        let with_us: Vec<u32> = all.iter().copied().chain([std::process::id()]).collect();
        let others = Others::watch(&with_us);
        let (before, servers_before) = (
            processes::cpu_seconds(&all),
            processes::cpu_seconds(servers),
        );
        let outcome = self.load.perform(job)?;
        let exchanges = outcome.exchanges.max(1) as f64;
        Ok(Slice {
            cpu: (processes::cpu_seconds(&all) - before) * 1e6 / exchanges,
            server_cpu: (processes::cpu_seconds(servers) - servers_before) * 1e6 / exchanges,
            others: others.part(&with_us),
            outcome,
        })
    }

    /// Slice U: the plain chain.
    fn plain(
        &mut self,
        shape: Shape,
        bytes: usize,
        clients: usize,
        until: Until,
    ) -> Result<Slice, Failure> {
        self.measured(&job(Chain::url(), shape, bytes, clients, until), &[], &[])
    }

    /// Slice S: the two Security Servers, with a small SOAP message.
    fn system(&mut self, stage: &Stage, clients: usize, until: Until) -> Result<Slice, Failure> {
        let job = job(stage.soap_url(), Shape::Soap, SMALL, clients, until);
        self.measured(&job, &stage.processes(), &stage.servers())
    }

    /// Rounds of K U F S F U K at saturation.
    fn speed(&mut self, mode: Mode, stage: &mut Stage) -> Result<(), Failure> {
        let keys = Keys::new(key_type(mode), SMALL)?;
        let (short, long) = (Duration::from_millis(80), Until::Milliseconds(1500));
        stage.skip_log()?;
        let first = self.system(stage, SATURATED, Until::Milliseconds(700))?;
        let mut record = stage
            .traces(first.outcome.exchanges, mode.batch)?
            .record_bytes;
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let mut costs = vec![keys.measure(short)];
            let mut plain = vec![self.plain(Shape::Soap, SMALL, SATURATED, long)?];
            let (mut log, mut preallocated) = (Vec::new(), Vec::new());
            self.append(record, &mut log, &mut preallocated)?;
            stage.skip_log()?;
            let system = self.system(stage, SATURATED, Until::Milliseconds(2000))?;
            let traces = stage.traces(system.outcome.exchanges, mode.batch)?;
            record = traces.record_bytes;
            self.append(record, &mut log, &mut preallocated)?;
            plain.push(self.plain(Shape::Soap, SMALL, SATURATED, long)?);
            costs.push(keys.measure(short));
            let costs = mean_costs(&costs);
            let chain = mean(plain.iter().map(|slice| slice.cpu));
            let log = mean(log.into_iter());
            let log_preallocated = mean(preallocated.into_iter());
            rounds.push(SpeedRound {
                limit: limit(&costs, chain, log, mode.batch),
                limit_preallocated: limit(&costs, chain, log_preallocated, mode.batch),
                measured: system.cpu,
                servers: system.server_cpu,
                wall_per_second: system.outcome.exchanges as f64 / system.outcome.seconds,
                chain,
                log,
                log_preallocated,
                traces,
                costs,
                others: system.others,
                quiet: is_quiet(&system, &plain),
            });
        }
        let kept = SpeedRound::kept(&rounds);
        let rate = median(kept.iter().map(|round| round.wall_per_second)) / 2.0;
        let mut paced = Vec::new();
        for _ in 0..5 {
            let mut job = job(
                stage.soap_url(),
                Shape::Soap,
                SMALL,
                64,
                Until::Milliseconds(3000),
            );
            job.rate = Some(rate.max(1.0));
            let slice = self.measured(&job, &stage.processes(), &stage.servers())?;
            paced.push(PacedRound {
                p50: slice.outcome.p50,
                p99: slice.outcome.p99,
                others: slice.others,
            });
        }
        self.figures.speed.insert(mode.name, rounds);
        self.figures.paced.insert(mode.name, paced);
        Ok(())
    }

    /// Slice F, to a growing and to a preallocated file.
    fn append(
        &self,
        record: f64,
        growing: &mut Vec<f64>,
        preallocated: &mut Vec<f64>,
    ) -> Result<(), Failure> {
        let time = Duration::from_millis(300);
        for (ground, costs) in [
            (Ground::Growing, growing),
            (Ground::Preallocated, preallocated),
        ] {
            costs.push(
                self.journal
                    .grouped(ground, record as usize, SATURATED, time)?,
            );
        }
        Ok(())
    }

    /// Rounds of a country with a past and the same country without, side by side.
    fn with_past(
        &mut self,
        mode: Mode,
        without: &mut Stage,
        with: &mut Stage,
    ) -> Result<(), Failure> {
        let time = Until::Milliseconds(1500);
        self.system(with, SATURATED, time)?;
        for _ in 0..self.rounds {
            let mut costs = [0.0; 2];
            let mut others = [0.0; 2];
            for place in [0, 1, 1, 0] {
                let stage = if place == 0 {
                    &mut *without
                } else {
                    &mut *with
                };
                stage.skip_log()?;
                let slice = self.system(stage, SATURATED, time)?;
                stage.traces(slice.outcome.exchanges, mode.batch)?;
                costs[place] += slice.cpu / 2.0;
                others[place] += slice.others / 2.0;
            }
            self.figures.past.push(PastRound {
                without: costs[0],
                with: costs[1],
                quiet: (others[0] - others[1]).abs() <= 0.10,
            });
        }
        self.figures.past_rss_mib = Some([largest(without), largest(with)]);
        self.figures.past_start_ms = with.start_times(3)?;
        Ok(())
    }

    /// Rounds with one client: what signing, verifying and logging add to the time of the plain chain.
    fn latency(&mut self, mode: Mode, stage: &Stage) -> Result<(), Failure> {
        let keys = Keys::new(key_type(mode), SMALL)?;
        let time = |milliseconds| Until::Milliseconds(milliseconds);
        let asking = |url: String, milliseconds: u64| Job {
            each: true,
            ..job(url, Shape::Soap, SMALL, 1, time(milliseconds))
        };
        let plain = asking(Chain::url(), 80);
        let signed = asking(stage.soap_url(), 150);
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let costs = keys.measure(Duration::from_millis(40));
            let (mut chain, mut flush, mut system) = (Vec::new(), Vec::new(), Vec::new());
            let mut others = [0.0; 2];
            // Short slices: how long a flush takes changes from one moment to the next, with what others write.
            for _ in 0..LATENCY_SLICES {
                for signs in [false, true, false] {
                    if signs {
                        flush.extend(self.journal.single(15)?);
                        let slice = self.measured(&signed, &stage.processes(), &stage.servers())?;
                        others[1] += slice.others / f64::from(LATENCY_SLICES);
                        system.extend(slice.outcome.times);
                        flush.extend(self.journal.single(15)?);
                    } else {
                        let slice = self.measured(&plain, &[], &[])?;
                        others[0] += slice.others / f64::from(2 * LATENCY_SLICES);
                        chain.extend(slice.outcome.times);
                    }
                }
            }
            // Where others write, some flushes take many times as long as the rest, and their median tells nothing.
            let even = at_part(&mut flush, 0.9) <= 3.0 * at_part(&mut flush, 0.1);
            rounds.push(LatencyRound {
                chain_p50: at_part(&mut chain, 0.5),
                system_p50: at_part(&mut system, 0.5),
                system_p99: at_part(&mut system, 0.99),
                flush: at_part(&mut flush, 0.5),
                costs,
                others: others[1],
                quiet: even && (others[0] - others[1]).abs() <= 0.10,
            });
        }
        self.figures.latency.insert(mode.name, rounds);
        Ok(())
    }

    /// Rounds with large bodies, and how much memory they take.
    fn bulk(&mut self, stage: &Stage) -> Result<(), Failure> {
        for (shape, direction) in [(Shape::Rest, "request"), (Shape::RestAnswer, "answer")] {
            self.bulk_of(stage, shape, direction)?;
        }
        Ok(())
    }

    fn bulk_of(
        &mut self,
        stage: &Stage,
        shape: Shape,
        direction: &'static str,
    ) -> Result<(), Failure> {
        let megabytes = LARGE as f64 / 1e6;
        let few = Until::Exchanges(2);
        self.large(stage, shape, LARGE, few)?;
        for _ in 0..self.rounds.min(6) {
            let before = self.plain(shape, LARGE, 1, few)?;
            let costs_before = bulk(Duration::from_millis(60))?;
            let write_before = self.journal.sequential(100)?;
            let system = self.large(stage, shape, LARGE, few)?;
            let write_after = self.journal.sequential(100)?;
            let costs_after = bulk(Duration::from_millis(60))?;
            let after = self.plain(shape, LARGE, 1, few)?;
            self.figures.bulk.push(BulkRound {
                direction,
                stream: f64::midpoint(before.cpu, after.cpu) / megabytes,
                costs: BulkCosts {
                    sha512: f64::midpoint(costs_before.sha512, costs_after.sha512),
                    aes_gcm: f64::midpoint(costs_before.aes_gcm, costs_after.aes_gcm),
                },
                write: f64::midpoint(write_before, write_after),
                measured: system.cpu / megabytes,
                milliseconds: system.outcome.p50 / 1000.0,
                others: system.others,
            });
        }
        for (bytes, growth) in [(LARGE, "100 MiB"), (1024 * 1024 * 1024, "1 GiB")] {
            let servers = stage.servers();
            let before: Vec<f64> = servers
                .iter()
                .map(|server| processes::resident_mib(&[*server]))
                .collect();
            servers
                .iter()
                .for_each(|server| processes::forget_peak(*server));
            self.large(stage, shape, bytes, Until::Exchanges(1))?;
            let grown = servers
                .iter()
                .zip(before)
                .map(|(server, before)| processes::peak_mib(*server).unwrap_or(before) - before);
            self.figures
                .growth_mib
                .insert(format!("{growth} {direction}"), grown.fold(0.0, f64::max));
        }
        Ok(())
    }

    fn large(
        &mut self,
        stage: &Stage,
        shape: Shape,
        bytes: usize,
        until: Until,
    ) -> Result<Slice, Failure> {
        let job = job(stage.rest_url(), shape, bytes, 1, until);
        self.measured(&job, &stage.processes(), &stage.servers())
    }

    /// Memory of a server at rest.
    fn idle(&mut self, stage: &Stage) {
        std::thread::sleep(Duration::from_secs(1));
        self.figures.idle_rss_mib.push(largest(stage));
    }

    /// Memory of a server while 64 clients ask.
    fn loaded(&mut self, stage: &Stage) -> Result<(), Failure> {
        let job = job(
            stage.soap_url(),
            Shape::Soap,
            SMALL,
            64,
            Until::Milliseconds(2500),
        );
        let over = AtomicBool::new(false);
        let most = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut most = 0.0_f64;
                while !over.load(Ordering::Relaxed) {
                    most = most.max(largest(stage));
                    std::thread::sleep(Duration::from_millis(200));
                }
                most
            });
            let outcome = self.load.perform(&job);
            over.store(true, Ordering::Relaxed);
            outcome.map(|_| watcher.join().unwrap_or(0.0))
        })?;
        self.figures.loaded_rss_mib.push(most);
        Ok(())
    }

    /// Rows of the table: sizes and numbers of clients.
    fn tabulate(
        &mut self,
        name: &'static str,
        url: &str,
        stage: Option<&Stage>,
    ) -> Result<(), Failure> {
        let sizes: [(Shape, usize, &[usize]); 3] = [
            (Shape::Soap, SMALL, &[1, 8, 64, 128]),
            (Shape::Rest, MIDDLE, &[1, 8, 64, 128]),
            (Shape::Rest, LARGE, &[1]),
        ];
        for (shape, bytes, counts) in sizes {
            for clients in counts {
                let until = if bytes == LARGE {
                    Until::Exchanges(2)
                } else {
                    Until::Milliseconds(1000)
                };
                let url = match (stage, shape) {
                    (None, _) => url.to_owned(),
                    (Some(stage), Shape::Soap) => stage.soap_url(),
                    (Some(stage), Shape::Rest | Shape::RestAnswer) => stage.rest_url(),
                };
                let (system, servers) = stage.map_or((Vec::new(), Vec::new()), |stage| {
                    (stage.processes(), stage.servers().to_vec())
                });
                let slice =
                    self.measured(&job(url, shape, bytes, *clients, until), &system, &servers)?;
                self.figures.rows.push(Row {
                    way: name,
                    bytes,
                    clients: *clients,
                    per_second: slice.outcome.exchanges as f64 / slice.outcome.seconds,
                    p50_ms: slice.outcome.p50 / 1000.0,
                    p99_ms: slice.outcome.p99 / 1000.0,
                    cpu_ms: slice.cpu / 1000.0,
                    rss_mib: stage.map(largest),
                });
            }
        }
        Ok(())
    }
}

/// The file by which a folder is known as one of this benchmark.
const MARK: &str = "bench";

/// A folder of this run alone, empty; the lock lasts as long as the file is open.
fn own_folder(folder: &Path) -> Result<(PathBuf, File), Failure> {
    let failed = |error: std::io::Error| Failure(format!("{}: {error}", folder.display()));
    let known = folder.join(MARK).is_file();
    if !known && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!(
            "{}: not empty, and not made by tunduk bench",
            folder.display()
        )
        .into());
    }
    fs::create_dir_all(folder).map_err(failed)?;
    let lock = File::options()
        .create(true)
        .append(true)
        .open(folder.join(MARK))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(format!("{}: another run uses it", folder.display()).into());
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    empty(folder)?;
    Ok((folder.canonicalize().map_err(failed)?, lock))
}

/// Removes everything that a run left in its folder, but for the mark that it is one.
fn empty(folder: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure(format!("{}: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name() == MARK {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            fs::remove_dir_all(entry.path()).map_err(failed)?;
        } else {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// The time in microseconds that this part of the times, which are nanoseconds, does not exceed.
fn at_part(times: &mut [u64], part: f64) -> f64 {
    times.sort_unstable();
    let index = (part * times.len() as f64) as usize;
    times
        .get(index.min(times.len().saturating_sub(1)))
        .map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1000.0)
}

/// Resident memory of the larger one of the two Security Servers.
fn largest(stage: &Stage) -> f64 {
    stage
        .servers()
        .iter()
        .map(|server| processes::resident_mib(&[*server]))
        .fold(0.0, f64::max)
}

fn key_type(mode: Mode) -> KeyType {
    if mode.key_type == "ec-p256" {
        KeyType::EcP256
    } else {
        KeyType::Rsa2048
    }
}

/// The limit of section 5 of the model, in microseconds of CPU of one exchange.
fn limit(costs: &Costs, chain: f64, log: f64, batch: bool) -> f64 {
    let messages = if batch { BATCH } else { 1.0 };
    let tree = if batch {
        2.0 * (2.0 + BATCH.log2()) * costs.hash_step
    } else {
        0.0
    };
    2.0 * (costs.sign + costs.verify) / messages
        + tree
        + 4.0 * costs.hash_message
        + chain
        + 4.0 * log
}

/// A round counts when others disturbed its parts alike.
fn is_quiet(system: &Slice, plain: &[Slice]) -> bool {
    let cpu: Vec<f64> = plain.iter().map(|slice| slice.cpu).collect();
    let (least, most) = (
        cpu.iter().copied().fold(f64::MAX, f64::min),
        cpu.iter().copied().fold(0.0, f64::max),
    );
    plain
        .iter()
        .all(|slice| (slice.others - system.others).abs() <= 0.10)
        && most <= least * 1.10
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn mean_costs(costs: &[Costs]) -> Costs {
    Costs {
        sign: mean(costs.iter().map(|cost| cost.sign)),
        verify: mean(costs.iter().map(|cost| cost.verify)),
        hash_message: mean(costs.iter().map(|cost| cost.hash_message)),
        hash_step: mean(costs.iter().map(|cost| cost.hash_step)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_models() {
        // The figures of the model's table: RSA 591, batches of fifty 96, with 54 for the chain and 5 for a record.
        let rsa = Costs {
            sign: 240.0,
            verify: 15.4,
            hash_message: 1.5,
            hash_step: 0.36,
        };
        assert!((limit(&rsa, 54.0, 5.0, false) - 591.0).abs() < 1.0);
        assert!((limit(&rsa, 54.0, 5.0, true) - 96.0).abs() < 1.0);
    }
}

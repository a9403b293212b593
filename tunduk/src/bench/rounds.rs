//! The rounds of measuring. What is compared stands side by side in time, so that the noise of a shared machine cancels:
//! ratios are taken within a round, and the median of the rounds is reported.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pki::KeyType;

use super::crypto::{BulkCosts, Costs, Keys, bulk};
use super::journal::Journal;
use super::load::{Job, Outcome, Shape, Until};
use super::programs::{Chain, Load, Others};
use super::report::{BulkRound, Figures, LatencyRound, PacedRound, Row, SpeedRound, median};
use super::stage::{MODES, Mode, Stage, parties};
use super::{ExchangeOptions, Failure, processes};

/// Bytes of a small message.
pub(super) const SMALL: usize = 1024;
/// Bytes of a middle message.
pub(super) const MIDDLE: usize = 100 * 1024;
/// Bytes of a large body.
pub(super) const LARGE: usize = 100 * 1024 * 1024;
/// Requests under way when the servers are saturated.
pub(super) const SATURATED: usize = 128;
/// Bytes that the product's log takes for a small message.
const RECORD: usize = 4096;
/// Messages in a batch of which the limit is taken.
const BATCH: f64 = 50.0;

/// Measures all parts that are wanted.
pub(super) fn exchange(options: &ExchangeOptions) -> Result<(), Failure> {
    let start = Instant::now();
    let folder = &options.state;
    if folder.join("bench").is_file() {
        fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder)
        .and_then(|()| {
            fs::write(
                folder.join("bench"),
                "This folder is emptied by tunduk bench.\n",
            )
        })
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let folder = folder
        .canonicalize()
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut bench = Bench {
        rounds: options.rounds.max(1),
        chain: Chain::start(&folder)?,
        load: Load::start()?,
        journal: Journal::create(&folder, RECORD)?,
        figures: Figures::default(),
    };
    let wanted =
        |part: &str| options.only.is_empty() || options.only.iter().any(|only| only == part);
    if wanted("table") {
        bench.tabulate("direct", &Chain::provider_url(), None)?;
        bench.tabulate("plain chain", &Chain::url(), None)?;
    }
    for mode in MODES {
        if !options.modes.is_empty() && !options.modes.iter().any(|name| name == mode.name) {
            continue;
        }
        eprintln!("bench: {} ({} s)", mode.name, start.elapsed().as_secs());
        let mut stage = Stage::start(mode, &folder)?;
        if wanted("memory") {
            bench.idle(&stage);
        }
        // Caches, connections and the log's first segment.
        bench.system(&stage, SATURATED, Until::Milliseconds(1500))?;
        if wanted("speed") {
            bench.speed(mode, &stage)?;
        }
        if wanted("latency") && !mode.batch {
            bench.latency(mode, &stage)?;
        }
        if wanted("memory") {
            bench.loaded(&stage)?;
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
    Ok(())
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
    fn speed(&mut self, mode: Mode, stage: &Stage) -> Result<(), Failure> {
        let keys = Keys::new(key_type(mode), SMALL)?;
        let (short, long) = (Duration::from_millis(80), Until::Milliseconds(1500));
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let mut costs = vec![keys.measure(short)];
            let mut plain = vec![self.plain(Shape::Soap, SMALL, SATURATED, long)?];
            let mut log = vec![
                self.journal
                    .grouped(SATURATED, Duration::from_millis(400))?,
            ];
            let system = self.system(stage, SATURATED, Until::Milliseconds(2000))?;
            log.push(
                self.journal
                    .grouped(SATURATED, Duration::from_millis(400))?,
            );
            plain.push(self.plain(Shape::Soap, SMALL, SATURATED, long)?);
            costs.push(keys.measure(short));
            let costs = mean_costs(&costs);
            let chain = mean(plain.iter().map(|slice| slice.cpu));
            let log = mean(log.into_iter());
            rounds.push(SpeedRound {
                limit: limit(&costs, chain, log, mode.batch),
                measured: system.cpu,
                servers: system.server_cpu,
                wall_per_second: system.outcome.exchanges as f64 / system.outcome.seconds,
                chain,
                log,
                costs,
                others: system.others,
                quiet: is_quiet(&system, &plain),
            });
        }
        let kept = SpeedRound::kept(&rounds);
        let rate = median(kept.iter().map(|round| round.wall_per_second)) / 2.0;
        let mut paced = Vec::new();
        for _ in 0..3 {
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

    /// Rounds with one client: what signing, verifying and logging add to the time of the plain chain.
    fn latency(&mut self, mode: Mode, stage: &Stage) -> Result<(), Failure> {
        let keys = Keys::new(key_type(mode), SMALL)?;
        let time = Until::Milliseconds(700);
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let costs = keys.measure(Duration::from_millis(40));
            let before = self.plain(Shape::Soap, SMALL, 1, time)?;
            let flush_before = self.journal.single(150)?;
            let system = self.system(stage, 1, Until::Milliseconds(1000))?;
            let flush_after = self.journal.single(150)?;
            let after = self.plain(Shape::Soap, SMALL, 1, time)?;
            rounds.push(LatencyRound {
                chain_p50: f64::midpoint(before.outcome.p50, after.outcome.p50),
                system_p50: system.outcome.p50,
                system_p99: system.outcome.p99,
                flush: f64::midpoint(flush_before, flush_after),
                costs,
                others: system.others,
                quiet: is_quiet(&system, &[before, after]),
            });
        }
        self.figures.latency.insert(mode.name, rounds);
        Ok(())
    }

    /// Rounds with large bodies, and how much memory they take.
    fn bulk(&mut self, stage: &Stage) -> Result<(), Failure> {
        let megabytes = LARGE as f64 / 1e6;
        let few = Until::Exchanges(2);
        self.large(stage, LARGE, few)?;
        for _ in 0..self.rounds.min(4) {
            let before = self.plain(Shape::Rest, LARGE, 1, few)?;
            let costs_before = bulk(Duration::from_millis(60))?;
            let write_before = self.journal.sequential(100)?;
            let system = self.large(stage, LARGE, few)?;
            let write_after = self.journal.sequential(100)?;
            let costs_after = bulk(Duration::from_millis(60))?;
            let after = self.plain(Shape::Rest, LARGE, 1, few)?;
            self.figures.bulk.push(BulkRound {
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
            self.large(stage, bytes, Until::Exchanges(1))?;
            let grown = servers
                .iter()
                .zip(before)
                .map(|(server, before)| processes::peak_mib(*server).unwrap_or(before) - before);
            self.figures
                .growth_mib
                .insert(growth, grown.fold(0.0, f64::max));
        }
        Ok(())
    }

    fn large(&mut self, stage: &Stage, bytes: usize, until: Until) -> Result<Slice, Failure> {
        let job = job(stage.rest_url(), Shape::Rest, bytes, 1, until);
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
                    (Some(stage), Shape::Rest) => stage.rest_url(),
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

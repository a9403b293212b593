//! Writing hash chains as X-Road lays them out (H3 to H5).

use super::{NAMESPACE, step_digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::{Digest, DigestAlgorithm};

/// The most messages that one batch may hold.
pub const MAXIMUM_BATCH: usize = 1 << 14;

const ALGORITHM: DigestAlgorithm = DigestAlgorithm::Sha512;

/// A hash chain and its result, as documents. The result's bytes are what is signed or stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainDocuments {
    /// `sig-hashchainresult.xml` or `ts-hashchainresult.xml`.
    pub result: Vec<u8>,
    /// `sig-hashchain.xml` or `ts-hashchain.xml`.
    pub chain: Vec<u8>,
}

/// The file names that the chains of a batch use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Chains under a signature: parts are `/message.xml`, `/attachment1` ...
    Signature,
    /// Chains under a batch time stamp: the part is `/META-INF/signatures.xml` (A4).
    TimeStamp,
}

impl Names {
    fn chain_file(self) -> &'static str {
        match self {
            Names::Signature => "/sig-hashchain.xml",
            Names::TimeStamp => "/ts-hashchain.xml",
        }
    }

    fn first_part(self) -> &'static str {
        match self {
            Names::Signature => "/message.xml",
            Names::TimeStamp => "/META-INF/signatures.xml",
        }
    }

    fn part(self, index: usize) -> String {
        match index {
            0 => self.first_part().to_owned(),
            n => format!("/attachment{n}"),
        }
    }
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<hc:HashChain xmlns=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:hc=\"http://cyber.ee/hashchain\"><hc:DefaultDigestMethod Algorithm=\"";
const HEAD_END: &str = "\"/>";
const TAIL: &str = "</hc:HashChain>\n";

fn push_head(algorithm: DigestAlgorithm, out: &mut String) {
    out.push_str(HEAD);
    out.push_str(algorithm.uri());
    out.push_str(HEAD_END);
}

fn push_base64(digest: &Digest, out: &mut String) {
    STANDARD.encode_string(digest.as_ref(), out);
}

fn open_step(number: usize, out: &mut String) {
    out.push_str("<hc:HashStep id=\"STEP");
    out.push_str(&number.to_string());
    out.push_str("\">");
}

fn push_data_ref(part: &str, digest: &Digest, out: &mut String) {
    out.push_str("<hc:DataRef URI=\"");
    out.push_str(part);
    out.push_str("\"><DigestValue>");
    push_base64(digest, out);
    out.push_str("</DigestValue></hc:DataRef>");
}

fn push_hash_value(digest: &Digest, out: &mut String) {
    out.push_str("<hc:HashValue><DigestValue>");
    push_base64(digest, out);
    out.push_str("</DigestValue></hc:HashValue>");
}

fn push_step_ref(number: usize, out: &mut String) {
    out.push_str("<hc:StepRef URI=\"#STEP");
    out.push_str(&number.to_string());
    out.push_str("\"/>");
}

/// The step over the parts of one message.
fn push_message_step(number: usize, names: Names, parts: &[Digest], out: &mut String) {
    open_step(number, out);
    for (index, digest) in parts.iter().enumerate() {
        push_data_ref(&names.part(index), digest, out);
    }
    out.push_str("</hc:HashStep>");
}

fn result_document(names: Names, algorithm: DigestAlgorithm, digest: &Digest) -> Vec<u8> {
    debug_assert!(HEAD.contains(NAMESPACE));
    let mut out = String::with_capacity(512);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<hc:HashChainResult xmlns=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:hc=\"http://cyber.ee/hashchain\" URI=\"");
    out.push_str(names.chain_file());
    out.push_str("#STEP0\"><DigestMethod Algorithm=\"");
    out.push_str(algorithm.uri());
    out.push_str("\"/><DigestValue>");
    push_base64(digest, &mut out);
    out.push_str("</DigestValue></hc:HashChainResult>\n");
    out.into_bytes()
}

/// The chain of one message: a single step over `/message.xml`, `/attachment1` ... (H4).
/// `parts` are the SHA-512 digests in this order.
#[must_use]
pub fn single(parts: &[Digest]) -> ChainDocuments {
    let names = Names::Signature;
    let mut chain = String::with_capacity(HEAD.len() + 160 * parts.len() + 96);
    push_head(ALGORITHM, &mut chain);
    push_message_step(0, names, parts, &mut chain);
    chain.push_str(TAIL);
    ChainDocuments {
        result: result_document(
            names,
            ALGORITHM,
            &step_digest(ALGORITHM, parts.iter().map(AsRef::as_ref)),
        ),
        chain: chain.into_bytes(),
    }
}

/// A batch in the making: a binary tree over the messages (H5).
#[derive(Debug, Clone)]
pub struct BatchTree {
    names: Names,
    algorithm: DigestAlgorithm,
    leaves: Vec<Vec<Digest>>,
}

/// The result that all messages of a batch share, and the chain of each.
#[derive(Debug, Clone)]
pub struct BatchChains {
    /// The result document; its SHA-512 digest is what is signed or stamped.
    pub result: Vec<u8>,
    /// The chain document of each message, in the order in which they were added.
    pub chains: Vec<Vec<u8>>,
}

impl BatchTree {
    /// An empty batch over SHA-512 digests.
    #[must_use]
    pub fn new(names: Names) -> BatchTree {
        BatchTree::with_algorithm(names, ALGORITHM)
    }

    /// An empty batch over digests of this algorithm, which its steps use too.
    #[must_use]
    pub fn with_algorithm(names: Names, algorithm: DigestAlgorithm) -> BatchTree {
        BatchTree {
            names,
            algorithm,
            leaves: Vec::new(),
        }
    }

    /// Adds a message: the digests of its parts, `/message.xml` first. For a batch time
    /// stamp the one digest is that of the signature document.
    pub fn add(&mut self, parts: &[Digest]) {
        self.leaves.push(parts.to_vec());
    }

    /// Number of messages so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether there is no message yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Computes the tree and writes the documents; `None` for an empty batch or one larger than
    /// [`MAXIMUM_BATCH`].
    ///
    /// Neighbours are combined level by level; one without a neighbour moves up as it is. This
    /// is where X-Road's heap numbering leads to. A batch of one message is a chain of one step.
    #[must_use]
    pub fn finish(self) -> Option<BatchChains> {
        let levels = self.levels()?;
        let chains = (0..self.leaves.len())
            .map(|index| self.chain(index, &levels))
            .collect();
        Some(BatchChains {
            result: self.result(&levels)?,
            chains,
        })
    }

    /// As [`Self::finish`], but only the chain of the message at `index`.
    #[must_use]
    pub fn finish_one(&self, index: usize) -> Option<ChainDocuments> {
        let levels = self.levels()?;
        if index >= self.leaves.len() {
            return None;
        }
        Some(ChainDocuments {
            result: self.result(&levels)?,
            chain: self.chain(index, &levels),
        })
    }

    fn result(&self, levels: &[Vec<Digest>]) -> Option<Vec<u8>> {
        let top = levels.last()?.first()?;
        Some(result_document(self.names, self.algorithm, top))
    }

    /// The digests of the tree from the messages up to the root.
    fn levels(&self) -> Option<Vec<Vec<Digest>>> {
        if self.leaves.is_empty() || self.leaves.len() > MAXIMUM_BATCH {
            return None;
        }
        let mut level: Vec<Digest> = Vec::with_capacity(self.leaves.len());
        for parts in &self.leaves {
            level.push(match parts.as_slice() {
                [] => return None,
                // Alone in the batch, a message is a step of its own.
                [one] if self.leaves.len() > 1 => *one,
                parts => step_digest(self.algorithm, parts.iter().map(AsRef::as_ref)),
            });
        }
        let mut levels = vec![level];
        loop {
            let level = &levels[levels.len() - 1];
            if level.len() == 1 {
                return Some(levels);
            }
            let above = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => step_digest(self.algorithm, [left.as_ref(), right.as_ref()]),
                    pair => pair[0],
                })
                .collect();
            levels.push(above);
        }
    }

    /// The chain of one message: its path from the root, siblings as constants.
    fn chain(&self, index: usize, levels: &[Vec<Digest>]) -> Vec<u8> {
        let parts = &self.leaves[index];
        let mut out = String::with_capacity(HEAD.len() + levels.len() * 320 + parts.len() * 160);
        push_head(self.algorithm, &mut out);
        let own_step = parts.len() > 1 || self.leaves.len() == 1;
        // Levels at which the message's branch has a neighbour, from the root down.
        let steps: Vec<usize> = (0..levels.len() - 1)
            .rev()
            .filter(|&depth| ((index >> depth) ^ 1) < levels[depth].len())
            .collect();
        for (number, &depth) in steps.iter().enumerate() {
            let position = index >> depth;
            let sibling = &levels[depth][position ^ 1];
            let is_last = number + 1 == steps.len();
            open_step(number, &mut out);
            if position & 1 == 1 {
                push_hash_value(sibling, &mut out);
            }
            if is_last && !own_step {
                push_data_ref(self.names.first_part(), &parts[0], &mut out);
            } else {
                push_step_ref(number + 1, &mut out);
            }
            if position & 1 == 0 {
                push_hash_value(sibling, &mut out);
            }
            out.push_str("</hc:HashStep>");
        }
        if own_step {
            push_message_step(steps.len(), self.names, parts, &mut out);
        }
        out.push_str(TAIL);
        out.into_bytes()
    }
}

//! Merged tables by hash (`hashes-<identifier>`): so that a look-up by query id reads
//! a few tables, however many segments there are.
//!
//! A segment's index has the rows of its own records. As soon as [`FAN`] segments, or
//! as many tables that were merged equally often, stand side by side, their rows are
//! merged into one table: so their number grows with the logarithm of the segments',
//! and every row is copied as often. A table is a header block (magic `TLH1`,
//! identifier (4), rows (8)) and blocks as in an index.
//!
//! Merged tables only repeat what the indexes say. Which ones count, and for which
//! segments, stands in the manifest alone; one that is not there, missing or damaged
//! is given up, and its segments are looked up in their own indexes until they are
//! merged again. Rows of deleted segments are passed over, and left out by the next merge.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::LogError;
use crate::index::{
    BLOCK, HashRow, HashRows, IndexReader, PER_BLOCK, SUMMARY, end_block, header, header_block,
    is_whole,
};
use crate::manifest::TableNote;
use crate::port::{SegmentDirectory, SegmentFile};
use crate::store::{State, Store, index_name, lock, read, write};

/// How many tables are merged into one.
const FAN: usize = 4;
/// Blocks that are read or written at once.
const PIECE: usize = 16;
/// Bytes that are written before they are synced: so that no flush of the log has to
/// wait behind a whole table.
const STRETCH: u64 = 4 << 20;
const MAGIC: &[u8; 4] = b"TLH1";
const PREFIX: &str = "hashes-";

fn table_name(id: u32) -> String {
    format!("{PREFIX}{id:010}")
}

/// The identifier of the table that has this file name.
pub(crate) fn table_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// A merged table.
pub(crate) struct Table<F> {
    note: TableNote,
    file: Arc<F>,
    /// The segments whose rows it has, ascending.
    pub(crate) segments: Vec<u32>,
}

impl<F: SegmentFile> Table<F> {
    pub(crate) fn note(&self) -> TableNote {
        self.note
    }

    fn rows(&self) -> HashRows<'_, F> {
        HashRows {
            file: &self.file,
            segment: 0,
            first_block: 1,
            rows: self.note.rows,
        }
    }

    fn header(note: TableNote) -> [u8; BLOCK] {
        let mut content = [0; SUMMARY];
        content[..4].copy_from_slice(&note.id.to_le_bytes());
        content[4..12].copy_from_slice(&note.rows.to_le_bytes());
        header_block(MAGIC, &content)
    }
}

/// Where the rows of all segments are: each segment is in one table, or loose.
pub(crate) struct Tables<F> {
    pub(crate) merged: Vec<Arc<Table<F>>>,
    /// Segments whose rows are in memory or in their own index.
    pub(crate) loose: BTreeSet<u32>,
    /// The next table's identifier.
    next: u32,
}

impl<F> Default for Tables<F> {
    fn default() -> Self {
        Self {
            merged: Vec::new(),
            loose: BTreeSet::new(),
            next: 1,
        }
    }
}

/// What is merged.
struct Inputs<F> {
    level: u32,
    tables: Vec<Arc<Table<F>>>,
    loose: Vec<u32>,
}

/// Reads the rows of a table one after the other.
struct Cursor<F> {
    file: Arc<F>,
    /// The segment to name when a block is damaged.
    segment: u32,
    block: u64,
    /// Rows that are not read from the file yet.
    left: u64,
    piece: Vec<u8>,
    /// The next row in the piece, and how many it has.
    at: usize,
    here: usize,
}

impl<F: SegmentFile> Cursor<F> {
    fn new(file: Arc<F>, segment: u32, first_block: u64, rows: u64) -> Self {
        Self {
            file,
            segment,
            block: first_block,
            left: rows,
            piece: vec![0; PIECE * BLOCK],
            at: 0,
            here: 0,
        }
    }

    fn next(&mut self) -> Result<Option<HashRow>, LogError> {
        if self.at == self.here {
            if self.left == 0 {
                return Ok(None);
            }
            self.here = self.left.min((PIECE * PER_BLOCK) as u64) as usize;
            let piece = &mut self.piece[..self.here.div_ceil(PER_BLOCK) * BLOCK];
            let offset = self.block * BLOCK as u64;
            let read = self.file.read_at(offset, piece)?;
            if read < piece.len() || !piece.chunks_exact(BLOCK).all(is_whole) {
                return Err(LogError::Damaged {
                    segment: self.segment,
                    offset,
                    what: "a block of its index",
                });
            }
            self.block += PIECE as u64;
            self.left -= self.here as u64;
            self.at = 0;
        }
        let blocks = self.piece.as_chunks::<BLOCK>().0;
        let row = HashRow::of(&blocks[self.at / PER_BLOCK], self.at % PER_BLOCK);
        self.at += 1;
        Ok(Some(row))
    }
}

/// Writes rows one after the other.
struct Writer<'a, F> {
    file: &'a F,
    /// Where the piece will be written.
    offset: u64,
    synced: u64,
    piece: Vec<u8>,
    rows: u64,
}

impl<F: SegmentFile> Writer<'_, F> {
    fn push(&mut self, row: HashRow) -> Result<(), LogError> {
        self.piece.extend_from_slice(&row.bytes());
        self.rows += 1;
        if self.rows.is_multiple_of(PER_BLOCK as u64) {
            self.end_block();
            if self.piece.len() == PIECE * BLOCK {
                self.write()?;
            }
        }
        Ok(())
    }

    fn end_block(&mut self) {
        let start = self.piece.len() / BLOCK * BLOCK;
        end_block(&mut self.piece, start);
    }

    fn write(&mut self) -> Result<(), LogError> {
        self.file.write_at(self.offset, &self.piece)?;
        self.offset += self.piece.len() as u64;
        self.piece.clear();
        if self.offset - self.synced >= STRETCH {
            self.file.sync()?;
            self.synced = self.offset;
        }
        Ok(())
    }
}

impl<D: SegmentDirectory> Store<D> {
    /// Takes over the tables that the manifest names, each with the segments that it is
    /// said to hold and that are there, and removes the files of all others.
    pub(crate) fn adopt_tables(
        &self,
        mut noted: Vec<(TableNote, Vec<u32>)>,
        names: &[String],
    ) -> Result<(), LogError> {
        let mut tables = write(&self.tables);
        noted.sort_unstable_by_key(|(note, _)| note.id);
        let highest = names.iter().filter_map(|name| table_of(name)).max();
        let noted_highest = noted.last().map(|(note, _)| note.id);
        tables.next = highest.max(noted_highest).unwrap_or(0).saturating_add(1);
        for (note, segments) in noted {
            if let Some(file) = self.table_file(note).filter(|_| !segments.is_empty()) {
                tables
                    .loose
                    .retain(|segment| segments.binary_search(segment).is_err());
                tables.merged.push(Arc::new(Table {
                    note,
                    file,
                    segments,
                }));
            }
        }
        for name in names {
            if let Some(id) = table_of(name)
                && !tables.merged.iter().any(|table| table.note.id == id)
            {
                self.directory.remove(name)?;
            }
        }
        Ok(())
    }

    /// The file of a table, when it is what the manifest says.
    fn table_file(&self, note: TableNote) -> Option<Arc<D::File>> {
        let file = self.directory.open(&table_name(note.id)).ok()?;
        let mut block = [0; BLOCK];
        let read = file.read_at(0, &mut block).ok()?;
        (header(MAGIC, &block[..read]) == header(MAGIC, &Table::<D::File>::header(note)))
            .then_some(file)
    }

    /// Gives up a table that cannot be read.
    fn give_up(&self, table: &Table<D::File>) {
        let mut tables = write(&self.tables);
        let before = tables.merged.len();
        tables.merged.retain(|other| other.note.id != table.note.id);
        if tables.merged.len() < before {
            for segment in &table.segments {
                if self.segment(*segment).is_some() {
                    tables.loose.insert(*segment);
                }
            }
            // One that is still there when the log is opened is given up again.
            let _ = self.directory.remove(&table_name(table.note.id));
        }
    }

    /// Where records may be whose query id has this hash, oldest first.
    pub(crate) fn places(&self, hash: u64) -> Result<Vec<HashRow>, LogError> {
        let (merged, mut loose) = {
            let tables = read(&self.tables);
            let loose: Vec<u32> = tables.loose.iter().copied().collect();
            (tables.merged.clone(), loose)
        };
        let mut places = Vec::new();
        for table in merged {
            match table.rows().with_hash(hash) {
                Ok(rows) => places.extend(rows),
                Err(_) => {
                    self.give_up(&table);
                    loose.extend(&table.segments);
                }
            }
        }
        for number in loose {
            let Some(segment) = self.segment(number) else {
                continue;
            };
            match self.with_hash(&segment, hash) {
                Ok(rows) => places.extend(rows),
                // Deleted meanwhile, after the retention period.
                Err(_) if self.segment(number).is_none() => {}
                Err(error) => return Err(error),
            }
        }
        places.sort_unstable_by_key(|row| (row.segment, row.offset));
        Ok(places)
    }

    fn due(&self) -> Option<Inputs<D::File>> {
        let tables = read(&self.tables);
        let sealed = |number: &u32| self.is_sealed(*number) == Some(true);
        let loose: Vec<u32> = tables
            .loose
            .iter()
            .copied()
            .filter(sealed)
            .take(FAN)
            .collect();
        if loose.len() == FAN {
            return Some(Inputs {
                level: 0,
                tables: Vec::new(),
                loose,
            });
        }
        let levels: BTreeSet<u32> = tables.merged.iter().map(|table| table.note.level).collect();
        levels.into_iter().find_map(|level| {
            let equal = tables
                .merged
                .iter()
                .filter(|table| table.note.level == level)
                .take(FAN)
                .cloned()
                .collect::<Vec<_>>();
            (equal.len() == FAN).then_some(Inputs {
                level,
                tables: equal,
                loose: Vec::new(),
            })
        })
    }

    /// Whether [`Store::merge_tables`] has something to do.
    pub fn wants_merge(&self) -> bool {
        self.due().is_some()
    }

    /// Lets a merge that is under way on another thread end without a result, and
    /// later ones not begin.
    pub fn stop_merging(&self) {
        self.no_merging.store(true, Ordering::Release);
    }

    /// Merges tables of a few segments into one when that is due, and says whether it
    /// was. Takes as long as the tables are large, so it is for a thread of its own.
    ///
    /// # Errors
    /// The disk's, or [`LogError::Closed`] after [`Store::stop_merging`]; what was there
    /// stays in use, and the call can be repeated.
    pub fn merge_tables(&self) -> Result<bool, LogError> {
        let _alone = lock(&self.merging);
        let Some(inputs) = self.due() else {
            return Ok(false);
        };
        let mut cursors = Vec::new();
        for table in &inputs.tables {
            cursors.push(Cursor::new(Arc::clone(&table.file), 0, 1, table.note.rows));
        }
        for number in &inputs.loose {
            cursors.push(self.cursor(*number)?);
        }
        let id = {
            let mut tables = write(&self.tables);
            let id = tables.next;
            tables.next = id.checked_add(1).ok_or(LogError::TooLarge {
                what: "the number of tables",
                limit: u64::from(u32::MAX),
            })?;
            id
        };
        let name = table_name(id);
        let temporary = format!("{name}.tmp");
        let file = self.directory.create(&temporary, 0)?;
        let written = self.write_merged(&file, id, inputs.level + 1, &mut cursors);
        let note = match written {
            Ok(note) => note,
            Err((input, error)) => {
                let _ = self.directory.remove(&temporary);
                let Some(input) = input else {
                    return Err(error);
                };
                return match inputs.tables.get(input) {
                    Some(table) => {
                        self.give_up(table);
                        Ok(true)
                    }
                    None => {
                        self.rebuild_index(inputs.loose[input - inputs.tables.len()])?;
                        Err(error)
                    }
                };
            }
        };
        self.directory.rename(&temporary, &name)?;
        self.directory.sync()?;
        if !self.replace(&inputs, note, file) {
            let _ = self.directory.remove(&name);
            return Ok(true);
        }
        self.write_manifest()?;
        for table in &inputs.tables {
            // What stays behind is in no manifest, so the next opening removes it.
            let _ = self.directory.remove(&table_name(table.note.id));
        }
        Ok(true)
    }

    /// The rows of a sealed segment's own index.
    fn cursor(&self, number: u32) -> Result<Cursor<D::File>, LogError> {
        let open = || {
            let missing = || LogError::NotFound(index_name(number));
            let segment = self.segment(number).ok_or_else(missing)?;
            let State::Sealed(summary) = *read(&segment.state) else {
                return Err(missing());
            };
            let file = self.directory.open(&index_name(number))?;
            let (first_block, rows) = {
                let rows = IndexReader::open(&*file, summary)?.by_hash();
                (rows.first_block, rows.rows)
            };
            Ok(Cursor::new(file, number, first_block, rows))
        };
        match open() {
            Err(LogError::Damaged { .. } | LogError::NotFound(_)) => {
                self.rebuild_index(number)?;
                open()
            }
            other => other,
        }
    }

    /// Writes the merged rows; an error comes with the input that it is about, if any.
    fn write_merged(
        &self,
        file: &D::File,
        id: u32,
        level: u32,
        cursors: &mut [Cursor<D::File>],
    ) -> Result<TableNote, (Option<usize>, LogError)> {
        let disk = |error| (None, error);
        let mut writer = Writer {
            file,
            offset: BLOCK as u64,
            synced: 0,
            piece: Vec::with_capacity(PIECE * BLOCK),
            rows: 0,
        };
        let mut heads = Vec::new();
        for (at, cursor) in cursors.iter_mut().enumerate() {
            heads.push(cursor.next().map_err(|error| (Some(at), error))?);
        }
        let there: BTreeSet<u32> = self.segments().into_iter().collect();
        while let Some((at, row)) = heads
            .iter()
            .enumerate()
            .filter_map(|(at, head)| Some((at, (*head)?)))
            .min_by_key(|(_, row)| *row)
        {
            if there.contains(&row.segment) {
                writer.push(row).map_err(disk)?;
            }
            heads[at] = cursors[at].next().map_err(|error| (Some(at), error))?;
            if self.no_merging.load(Ordering::Relaxed) {
                return Err((None, LogError::Closed));
            }
        }
        if !writer.piece.len().is_multiple_of(BLOCK) {
            writer.end_block();
        }
        writer.write().map_err(disk)?;
        let note = TableNote {
            id,
            level,
            rows: writer.rows,
        };
        file.write_at(0, &Table::<D::File>::header(note))
            .and_then(|()| file.sync())
            .map_err(|error| (None, error.into()))?;
        Ok(note)
    }

    /// Puts a table in the place of what it was merged from; false when that is no
    /// longer as it was.
    fn replace(&self, inputs: &Inputs<D::File>, note: TableNote, file: Arc<D::File>) -> bool {
        let mut tables = write(&self.tables);
        let is_input = |table: &Arc<Table<D::File>>| {
            let same = |input: &Arc<Table<D::File>>| input.note.id == table.note.id;
            inputs.tables.iter().any(same)
        };
        if tables.merged.iter().filter(|table| is_input(table)).count() < inputs.tables.len() {
            return false;
        }
        let mut segments: Vec<u32> = inputs
            .tables
            .iter()
            .flat_map(|table| &table.segments)
            .chain(&inputs.loose)
            .copied()
            .filter(|segment| self.segment(*segment).is_some())
            .collect();
        segments.sort_unstable();
        tables.merged.retain(|table| !is_input(table));
        for segment in &inputs.loose {
            tables.loose.remove(segment);
        }
        tables.merged.push(Arc::new(Table {
            note,
            file,
            segments,
        }));
        true
    }

    /// Forgets segments that were deleted, and the tables that held nothing else.
    pub(crate) fn forget_deleted(&self) -> Result<(), LogError> {
        let gone = {
            let mut tables = write(&self.tables);
            let there = |segment: &u32| self.segment(*segment).is_some();
            tables.loose.retain(there);
            let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut tables.merged)
                .into_iter()
                .partition(|table| table.segments.iter().any(there));
            tables.merged = kept;
            gone
        };
        self.write_manifest()?;
        for table in gone {
            let _ = self.directory.remove(&table_name(table.note.id));
        }
        Ok(())
    }
}

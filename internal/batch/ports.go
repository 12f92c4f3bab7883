package batch

import (
	"context"
	"iter"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// Grader grades one answer; *grading.Service is one. Its errors are those of
// grading.Service.Grade.
type Grader interface {
	Grade(ctx context.Context, req grading.Request) (grading.Result, error)
}

// Kept is what a Service needs to know of grades that are kept, and of those
// that are not yet made; *grading.Service is one.
type Kept interface {
	// Kept reports whether a grade is kept for the request; a store that does
	// not answer has none.
	Kept(ctx context.Context, req grading.Request) bool
	// Forget erases a kept grade; erasing nothing is not an error.
	Forget(ctx context.Context, key grading.Key) error
	// Estimate is what making the grade would cost, asking nobody. warm says
	// that another answer to the same question has been asked about just now.
	Estimate(req grading.Request, warm bool) (judge.Usage, error)
}

// Queue brings chunks to workers, at least once, in any order.
type Queue interface {
	// Enqueue hands out work. A ref that is queued already is not an error.
	Enqueue(ctx context.Context, refs ...Ref) error
	// EnqueueAfter is Enqueue, delivered no sooner than after d. Until then the
	// refs are Known.
	EnqueueAfter(ctx context.Context, d time.Duration, refs ...Ref) error
	// Known reports whether the queue will still deliver the ref. One that was
	// lost, archived or delivered is not known.
	Known(ctx context.Context, ref Ref) (bool, error)
	// Delivered lists the refs that are with a worker as far as the queue can
	// tell. Those of workers that have died may be among them for a while.
	Delivered(ctx context.Context) ([]Ref, error)
	// Drop takes refs that were not delivered yet out of the queue, where it can.
	Drop(ctx context.Context, refs ...Ref) error
}

// Reservation is the right of one submission to an idempotency key.
type Reservation struct {
	Tenant, Key string
	// Token tells this submission from others with the same key.
	Token string
}

// Store is the record of batches. Every method is atomic on its own, and safe
// for any number of processes over the same data. A store that does not answer
// returns an error that is none of this package's.
//
// Times are the store's own clock wherever two processes have to agree.
type Store interface {
	// Reserve claims an idempotency key for a submission. When the key was used
	// before it returns the batch and the fingerprint it was used for. When
	// another submission holds it: ErrInProgress. A reservation that is not
	// renewed (Reserve again with the same token) ends by itself after a minute.
	Reserve(ctx context.Context, r Reservation) (used *Used, err error)
	// Release gives a reservation up; a key that was committed stays used.
	Release(ctx context.Context, r Reservation) error

	// Stage keeps a chunk of a batch that does not exist yet. Nobody sees it.
	// What is not committed within an hour is gone. Staging a chunk again
	// replaces it.
	Stage(ctx context.Context, key Key, chunk Chunk) error
	// Commit makes a staged batch, its idempotency key and its place in the
	// outbox visible together: all of it or nothing. b is as it shall read, with
	// CreatedAt and Version still zero. With a reservation whose key another
	// submission has committed meanwhile it returns that one and keeps nothing.
	// A chunk that has expired meanwhile is an error.
	Commit(ctx context.Context, b Batch, r *Reservation, fingerprint string) (used *Used, err error)
	// Discard erases what was staged; of a batch that was committed it erases
	// nothing.
	Discard(ctx context.Context, key Key, chunks int) error

	// Get returns a batch or ErrNotFound.
	Get(ctx context.Context, key Key) (*Batch, error)
	// Changed waits until the batch has another version than seen, or the
	// context ends, or a few seconds have passed, and returns it.
	Changed(ctx context.Context, key Key, seen int64) (*Batch, error)
	// Results yields the results there are for items from an index on, in the
	// order of the upload. It reads in blocks: memory does not grow with the
	// batch. Items without a result are left out, except in a batch that was
	// cancelled, where they are yielded as RowCancelled with ReasonCancelled.
	Results(ctx context.Context, key Key, from int) iter.Seq2[Result, error]
	// Cancel ends a batch: pending items count as cancelled from now on, and
	// results that come later are refused. Cancelling what is over changes nothing.
	Cancel(ctx context.Context, key Key) (*Batch, error)
	// Purge erases a batch and everything that belongs to it, its idempotency
	// key included. A batch that is not over is ErrNotOver; purging what is not
	// there is ErrNotFound.
	Purge(ctx context.Context, key Key) error

	// Claim gives a worker the right to a chunk for LeaseTime. It returns
	// ErrLost when the chunk is done or held by another, or the batch is over
	// or paused or gone, or the ref's Gen is not the current one. A claim whose
	// lease has run out still holds until Reclaim takes it, so that no crash goes
	// uncounted. A queued batch runs from its first claim on. A new claim
	// suspects no item. A free chunk whose batch is paused gets a new Gen and
	// counts as never enqueued: the queue is done with it, and whoever keeps the
	// batch later sees that.
	Claim(ctx context.Context, ref Ref, worker string) (*Claim, error)
	// Renew makes a claim last another LeaseTime, or returns ErrLost. It may
	// renew a claim that has run out and that nobody took since.
	Renew(ctx context.Context, c *Claim) error
	// Suspect notes that the worker goes on with this one item alone, so that a
	// crash can be laid at its door; or returns ErrLost.
	Suspect(ctx context.Context, c *Claim, index int) error
	// Complete keeps results and counts them, all at once. An item that has a
	// result keeps it and is not counted again. done gives the claim up: the
	// chunk is done when each of its items has a result, and is otherwise free to
	// be handed out again (a new Gen is returned, which the caller enqueues, and
	// which counts as never enqueued until then). The batch becomes Completed
	// with its last result, whether it was paused or not. Claims that were lost,
	// and batches that are over: ErrLost, and nothing is kept.
	Complete(ctx context.Context, c *Claim, results []Result, done bool) (*Progress, error)
	// Pause makes a queued or running batch wait; Resume lets it go on. Both do
	// nothing to a batch in any other state.
	Pause(ctx context.Context, key Key, reason string) error
	Resume(ctx context.Context, key Key) error

	// Active lists the batches that are not over, oldest first.
	Active(ctx context.Context) ([]Key, error)
	// Chunks lists the chunks of a batch that are not done.
	Chunks(ctx context.Context, key Key) ([]ChunkState, error)
	// Enqueued notes that refs were given to the queue just now; those that are
	// no longer current are passed over.
	Enqueued(ctx context.Context, refs ...Ref) error
	// Reclaim takes a chunk from a worker whose lease has run out, or a chunk
	// that the queue has lost, and returns the ref to enqueue, which counts as
	// never enqueued. It counts a crash when there was a claim: on the item that
	// this claim suspected last, else on the chunk. ErrLost when ref is not the
	// chunk's current one, or a lease is running, or the chunk is done, or the
	// batch is over or gone.
	Reclaim(ctx context.Context, ref Ref) (Ref, error)
	// Notices lists the batches that are over and whose submitter, who gave a
	// WebhookURL, is still to be told. Completing and cancelling add to them;
	// Noticed takes one off, for good.
	Notices(ctx context.Context) ([]Key, error)
	Noticed(ctx context.Context, key Key) error
	// Lead makes one process the leader under a name for a time, and reports
	// whether it is this one.
	Lead(ctx context.Context, name, process string, lease time.Duration) (bool, error)
}

// Used is what an idempotency key stands for.
type Used struct {
	Fingerprint string
	BatchID     string
}

// Claim is a worker's right to a chunk.
type Claim struct {
	Ref    Ref
	Worker string
	// Fence grows with every claim on the chunk.
	Fence int64
	Batch Batch
	Chunk Chunk
	// Done holds the indexes of items that have a result already.
	Done map[int]bool
	// Crashes is how many workers died over the chunk; Suspected how many died
	// over an item alone, by index.
	Crashes   int
	Suspected map[int]int
}

// Progress is where completing results has led.
type Progress struct {
	Batch Batch
	// Again is set when the chunk was given up unfinished: what to enqueue.
	Again *Ref
	// Finished is true when these results were the batch's last.
	Finished bool
}

// ChunkState is what is known of a chunk that is not done.
type ChunkState struct {
	// Ref is the current one.
	Ref Ref
	// Claimed is true while a worker has it, Expired when its lease has run out.
	Claimed, Expired bool
	// EnqueuedAt is when Ref was last given to the queue; zero when never.
	// Age is how long ago that was by the store's clock.
	EnqueuedAt time.Time
	Age        time.Duration
	Crashes    int
}

// Package batch grades many answers as one unit: it takes them in, hands them
// to workers in chunks, sees to it that each ends in exactly one result, and
// tells how far it has come.
//
// The record is the Store's. A queue brings chunks to workers and may lose,
// repeat or delay them as it likes: a Keeper finds what is left lying, and
// whatever comes twice finds the work done. The package knows no HTTP, no Redis
// and no queue library; it states what it needs of a Store, a Queue and a
// Grader.
package batch

import (
	"errors"
	"fmt"
	"time"

	"github.com/gradus-ai/gradus/internal/judge"
)

// Errors of this package. ErrNotFound is also the answer for a batch of
// another tenant.
var (
	ErrNotFound = errors.New("batch not found")
	// ErrInProgress: a submission with the same idempotency key is still being
	// taken in.
	ErrInProgress = errors.New("a submission with this idempotency key is in progress")
	// ErrKeyReused: the idempotency key was used for another body.
	ErrKeyReused = errors.New("the idempotency key was used for another submission")
	// ErrStorageFull: the store has too little room left for another batch.
	ErrStorageFull = errors.New("no room for another batch")
	// ErrNotDurable: the store would lose an accepted batch, and that was not
	// allowed.
	ErrNotDurable = errors.New("the store does not keep what it is told")
	// ErrNotOver: a batch that still runs cannot be purged.
	ErrNotOver = errors.New("the batch is not over")
	// ErrNoPrice: a cost limit where nobody knows what a call costs.
	ErrNoPrice = errors.New("a cost limit needs a price for the model")
	// ErrEmpty: a batch without any item.
	ErrEmpty = errors.New("the batch has no items")
	// ErrTooMany: a batch with more items than MaxItems.
	ErrTooMany = fmt.Errorf("a batch has at most %d items", MaxItems)
	// ErrLost: the claim on a chunk has gone to another worker, or the chunk is
	// done, or its batch is over. What was computed must not be kept.
	ErrLost = errors.New("the chunk is no longer ours")
)

// DuplicateError says that an item id came twice.
type DuplicateError struct {
	ID string
	// First is what Draft.Add was told of where the id came first.
	First int
}

func (e *DuplicateError) Error() string { return "this id was used before" }

const (
	// MaxItems is the largest number of items in a batch.
	MaxItems = 50_000
	// ChunkItems is the most items in a chunk: large enough that queueing costs
	// little beside grading, small enough to spread over workers.
	ChunkItems = 16
	// Deadline is how long after it was accepted an item may wait to be graded;
	// then it fails as expired. It outlasts a day's outage of a model.
	Deadline = 48 * time.Hour
	// LeaseTime is how long a worker that has died keeps its chunk.
	LeaseTime = 10 * time.Second
	// MaxCrashes is how many workers an item may bring down, working on it
	// alone, before it fails.
	MaxCrashes = 3
)

// Status says where a batch is in its life.
type Status string

// Completed and Cancelled are final. A paused batch is tried again from time to
// time.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Paused    Status = "paused"
	Completed Status = "completed"
	Cancelled Status = "cancelled"
)

// Over reports whether the status is final.
func (s Status) Over() bool { return s == Completed || s == Cancelled }

// RowStatus is the end of one item.
type RowStatus string

// The ends of an item.
const (
	RowGraded      RowStatus = "graded"
	RowNeedsReview RowStatus = "needs_review"
	RowFailed      RowStatus = "failed"
	RowCancelled   RowStatus = "cancelled"
)

// Key names a batch.
type Key struct{ Tenant, ID string }

// Batch is the record of a batch. The ends of its items and what is pending
// always add up to Total.
type Batch struct {
	Key

	Status Status
	// PausedReason is a short word for why a paused batch waits.
	PausedReason string
	Options      Options

	Total, Graded, NeedsReview, Failed, Cancelled int
	// Cached counts results that no judge was asked for.
	Cached int
	Chunks int

	// Durable is false where the record ends with the process.
	Durable bool
	// Mixed is true once a result was made by other versions than Made.
	Mixed bool
	Made  Versions

	CreatedAt  time.Time
	FinishedAt *time.Time // nil until over
	// Spent is what grading cost, Saved what kept grades would have cost again.
	Spent, Saved judge.Usage
	// Version grows with every change that a reader can see.
	Version int64
}

// Pending is the number of items without an end.
func (b *Batch) Pending() int {
	return b.Total - b.Graded - b.NeedsReview - b.Failed - b.Cancelled
}

// Options are what the submitter asked for; the same for every item.
type Options struct {
	// Judge is as in grading.Request; never empty in an accepted batch.
	Judge    string `json:"judge"`
	Fallback bool   `json:"fallback,omitempty"`
	// Fresh grades again even where a grade is kept.
	Fresh bool `json:"fresh,omitempty"`
	// Detail is applied when results are read.
	Detail string `json:"detail,omitempty"`
	// MaxCost is in US dollars; nil means no limit.
	MaxCost    *float64 `json:"max_cost,omitempty"`
	WebhookURL string   `json:"webhook_url,omitempty"`
}

// Versions are what a grade depends on besides question and answer.
type Versions struct {
	Judge        string `json:"judge"`
	Fingerprint  string `json:"fingerprint"`
	PromptDigest string `json:"prompt_digest"`
}

// Item is one answer.
type Item struct {
	// Index is the item's place in the upload, from 0 and without gaps.
	Index int
	// ID is the submitter's.
	ID     string
	Answer string
}

// Chunk is up to ChunkItems items of one question, which it carries as it was
// when the batch was accepted.
type Chunk struct {
	// Index counts chunks from 0 in the order they were staged.
	Index int
	// Question is a frozen question (rubric.Freeze).
	Question []byte
	Items    []Item
}

// Result is the end of one item. Its JSON is what a store keeps.
type Result struct {
	Index  int       `json:"index"`
	ID     string    `json:"id"`
	Status RowStatus `json:"status"`
	// Grade is the grade's JSON in full detail, with the item's own usage; nil
	// unless graded or needs review.
	Grade []byte `json:"grade,omitempty"`
	// GradeID is the id under which the grade is kept as well; empty when it is not.
	GradeID string `json:"grade_id,omitempty"`
	// Reason is a short word for why there is no grade: a slug of a problem type.
	Reason string `json:"reason,omitempty"`
	// Cached is true when no judge was asked.
	Cached bool `json:"cached,omitempty"`
	// Mixed is true when it was made by other versions than the batch was
	// accepted with.
	Mixed bool `json:"mixed,omitempty"`
	// Spent is what it cost; Saved is what a kept grade had cost when made.
	Spent judge.Usage `json:"spent"`
	Saved judge.Usage `json:"saved"`
}

// Reasons for an item to have no grade. Others are problem types of grading.
const (
	ReasonExpired       = "item-expired"
	ReasonWorkerCrash   = "worker-crash"
	ReasonCostLimit     = "cost-limit"
	ReasonAnswerTooLong = "answer-too-long"
	ReasonRejected      = "model-rejected"
	ReasonNoModel       = "no-model"
	ReasonInternal      = "internal"
	ReasonCancelled     = "item-cancelled"
)

// Reasons for a batch to be paused.
const (
	PausedModelKey   = "model_key_refused"
	PausedModelQuota = "model_quota_spent"
)

// Ref names the work on one chunk. Gen tells one handing out of it from the
// next, so that a queue that never forgets an id can be given it again.
type Ref struct {
	Key
	Chunk int
	Gen   int64
}

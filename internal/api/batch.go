package api

import "time"

// Limits of a batch.
const (
	// MaxBatchItems is the largest number of answers in one batch.
	MaxBatchItems = 50_000
	// MaxBatchBody is the largest upload, in bytes.
	MaxBatchBody = 200 << 20
	// MaxFaults is how many faults of one upload are listed; a last one says
	// how many more there are.
	MaxFaults = 100
)

// BatchStatus says where a batch is in its life.
type BatchStatus string

// Completed and Cancelled are final. A paused batch goes on by itself once the
// cause named in PausedReason is gone.
const (
	BatchQueued    BatchStatus = "queued"
	BatchRunning   BatchStatus = "running"
	BatchPaused    BatchStatus = "paused"
	BatchCompleted BatchStatus = "completed"
	BatchCancelled BatchStatus = "cancelled"
)

// BatchRequest is a batch as one JSON body. The options can be given in the
// query as well, which is the only way for NDJSON and CSV; what the body says
// comes first.
type BatchRequest struct {
	Items []BatchItem `json:"items" nullable:"false" minItems:"1" maxItems:"50000"`
	BatchOptions
}

// BatchItem is one answer of a batch.
type BatchItem struct {
	// ID is the caller's own, unique in the batch.
	ID string `json:"id" pattern:"^[A-Za-z0-9][\\w.:@/-]{0,127}$" doc:"Your own id, unique in the batch." example:"candidate-17"`
	// QuestionID and Question exclude each other; with neither, the batch's
	// QuestionID counts.
	QuestionID string    `json:"question_id,omitempty" doc:"SET/QUESTION; the batch's question_id where left out." example:"lead-platform-engineer/first-90-days"`
	Question   *Question `json:"question,omitempty" doc:"A question of your own in place of question_id."`
	Answer     string    `json:"answer" maxLength:"20000" doc:"The answer exactly as written. A blank answer is graded."`
}

// What to do with rows that cannot be accepted.
const (
	OnErrorReject = "reject"
	OnErrorSkip   = "skip"
)

// BatchOptions are the same for every item of a batch.
type BatchOptions struct {
	Judge    string `json:"judge,omitempty" enum:"auto,model,lexical" doc:"Who reads the answers; auto is the model where one is configured."`
	Fallback string `json:"fallback,omitempty" enum:"lexical" doc:"Let the lexical judge stand in when the model cannot be asked."`
	Detail   Detail `json:"detail,omitempty" enum:"nudge,hint,full" doc:"How much of the feedback to give in the results; full where left out."`
	// QuestionID is the question of the items that name none.
	QuestionID string `json:"question_id,omitempty" doc:"The question of the items that name none."`
	// MaxCost is in US dollars; nil means no limit.
	MaxCost *float64 `json:"max_cost,omitempty" minimum:"0" doc:"Stop before more than this is spent, in US dollars: what is left then fails with cost-limit."`
	// WebhookURL is told when the batch is over.
	WebhookURL string `json:"webhook_url,omitempty" format:"uri" doc:"An https address that is told when the batch is over."`
	OnError    string `json:"on_error,omitempty" enum:"reject,skip" doc:"skip accepts the good rows and reports the others; reject, the default, accepts nothing."`
	DryRun     bool   `json:"dry_run,omitempty" doc:"Check everything and answer with an estimate; nothing is accepted."`
}

// Batch is many answers as one unit. Graded, NeedsReview, Failed, Cancelled and
// Pending always add up to Total.
type Batch struct {
	ID           string      `json:"id" example:"ba_4k7m2q9x3w5t8y6v"`
	Status       BatchStatus `json:"status" enum:"queued,running,paused,completed,cancelled"`
	PausedReason string      `json:"paused_reason,omitempty" doc:"Why a paused batch waits."`
	Total        int         `json:"total" minimum:"0"`
	Graded       int         `json:"graded" minimum:"0"`
	NeedsReview  int         `json:"needs_review" minimum:"0"`
	Failed       int         `json:"failed" minimum:"0"`
	Cancelled    int         `json:"cancelled" minimum:"0"`
	Pending      int         `json:"pending" minimum:"0"`
	Cached       int         `json:"cached" minimum:"0" doc:"Graded without asking a judge again."`
	Durable      bool        `json:"durable" doc:"False where the batch ends with the process, or with a Redis that does not keep what it is told."`
	Mixed        bool        `json:"mixed" doc:"Versions of prompt or code had to differ within the batch; each row names its own."`
	CreatedAt    time.Time   `json:"created_at"`
	FinishedAt   *time.Time  `json:"finished_at"`
	Usage        Usage       `json:"usage" doc:"What the batch has spent."`
	Saved        Usage       `json:"saved" doc:"What kept and repeated grades would have cost again."`
	// Skipped rows were not accepted; only the answer to the upload says why.
	Skipped int     `json:"skipped,omitempty" doc:"Rows that on_error=skip left out."`
	Errors  []Fault `json:"errors,omitempty" nullable:"false" doc:"Why rows were left out; only in the answer to the upload."`
}

// Over reports whether nothing more will happen to the batch.
func (b *Batch) Over() bool { return b.Status == BatchCompleted || b.Status == BatchCancelled }

// BatchEstimate is what a batch would do, found without asking anyone.
type BatchEstimate struct {
	Items int `json:"items" minimum:"0"`
	// Distinct items differ in question or answer.
	Distinct int `json:"distinct" minimum:"0" doc:"Items that differ in question or answer."`
	Cached   int `json:"cached" minimum:"0" doc:"Items whose grade is kept already."`
	// Usage is estimated from the lengths of prompts and replies.
	Usage   Usage   `json:"usage" doc:"Calls, tokens and money, estimated from the lengths of prompts and of usual replies."`
	Skipped int     `json:"skipped,omitempty" doc:"Rows that on_error=skip would leave out."`
	Errors  []Fault `json:"errors,omitempty" nullable:"false" doc:"Why."`
}

// RowStatus is the end of one item.
type RowStatus string

// The ends of an item.
const (
	RowGraded      RowStatus = "graded"
	RowNeedsReview RowStatus = "needs_review"
	RowFailed      RowStatus = "failed"
	RowCancelled   RowStatus = "cancelled"
)

// ResultRow is the result of one item.
type ResultRow struct {
	// Index is the item's place in the upload, from 0; rows that were skipped
	// have none.
	Index  int       `json:"index" minimum:"0" doc:"Place in the upload, from 0."`
	ID     string    `json:"id"`
	Status RowStatus `json:"status" enum:"graded,needs_review,failed,cancelled"`
	Grade  *Grade    `json:"grade" doc:"Null unless graded or needs_review."`
	Error  *Problem  `json:"error" doc:"Why there is no grade."`
}

// Names of the events of a batch: progress carries the batch each time it has
// changed, done carries it once it is over. A ping every 15 seconds keeps the
// connection open. Ids of events grow; an event with the id last seen and
// everything before it is not sent again.
const (
	EventProgress = "progress"
	EventDone     = "done"
	EventPing     = "ping"
)

package app

import (
	"errors"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm"
)

// outcome says what an error of grading means for an item of a batch. An outage
// fails nothing: the item waits. What a person has to mend makes the whole batch
// wait. Only what would fail for ever ends the item.
func outcome(err error) batch.Outcome {
	var (
		limited *llm.RateLimitError
		down    *llm.UnavailableError
		open    *llm.OpenError
	)
	switch {
	case errors.Is(err, llm.ErrTooLong):
		return batch.Outcome{Action: batch.Fail, Reason: batch.ReasonAnswerTooLong}
	case errors.Is(err, llm.ErrRejected):
		return batch.Outcome{Action: batch.Fail, Reason: batch.ReasonRejected}
	case errors.As(err, &open):
		return batch.Outcome{After: open.RetryAfter}
	case errors.Is(err, llm.ErrQuota):
		return batch.Outcome{Action: batch.Pause, Reason: batch.PausedModelQuota}
	case errors.Is(err, llm.ErrUnauthorized):
		return batch.Outcome{Action: batch.Pause, Reason: batch.PausedModelKey}
	case errors.As(err, &limited):
		return batch.Outcome{After: limited.RetryAfter}
	case errors.As(err, &down):
		return batch.Outcome{After: down.RetryAfter}
	case errors.Is(err, llm.ErrBudget), errors.Is(err, grading.ErrNoModel):
		return batch.Outcome{After: time.Second}
	default:
		// A time limit, or what nobody foresaw, may pass or be this item's own.
		return batch.Outcome{Limited: true, Reason: batch.ReasonInternal}
	}
}

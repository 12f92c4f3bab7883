package server

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
)

// Batches takes batches in and tells how they are doing; *batch.Service is one.
// Its errors are those of package batch.
type Batches interface {
	Begin(ctx context.Context, tenant string, options batch.Options, idempotencyKey string) (*batch.Draft, error)
	DryRun(tenant string, options batch.Options) (*batch.Draft, error)
	Get(ctx context.Context, key batch.Key) (*batch.Batch, error)
	// Changed waits until a batch has another version than seen, or some seconds.
	Changed(ctx context.Context, key batch.Key, seen int64) (*batch.Batch, error)
	Results(ctx context.Context, key batch.Key, from int) iter.Seq2[batch.Result, error]
	Cancel(ctx context.Context, key batch.Key) (*batch.Batch, error)
	Purge(ctx context.Context, key batch.Key) error
}

// batchKey is the batch that a path names. What cannot be the id of one is never
// looked up.
func batchKey(c *gin.Context) (batch.Key, error) {
	id := c.Param("id")
	rest, ok := strings.CutPrefix(id, "ba_")
	if !ok || !plainID(rest) {
		return batch.Key{}, batch.ErrNotFound
	}
	return batch.Key{Tenant: exchangeOf(c).tenant, ID: id}, nil
}

// readBatch answers GET /v1/batches/{id}.
func (s *Server) readBatch(c *gin.Context) error {
	key, err := batchKey(c)
	if err != nil {
		return err
	}
	b, err := s.cfg.Batches.Get(c.Request.Context(), key)
	if err != nil {
		return err
	}
	return writeBatch(c, http.StatusOK, batchOf(b))
}

// endBatch answers DELETE /v1/batches/{id}.
func (s *Server) endBatch(c *gin.Context) error {
	purge, err := switched(c.Request.URL.Query(), "purge")
	if err != nil {
		return err
	}
	key, err := batchKey(c)
	if err != nil {
		return err
	}
	b, err := s.cfg.Batches.Cancel(c.Request.Context(), key)
	if err != nil {
		return err
	}
	if purge {
		if err := s.cfg.Batches.Purge(c.Request.Context(), key); err != nil {
			return err
		}
	}
	return writeBatch(c, http.StatusOK, batchOf(b))
}

func writeBatch(c *gin.Context, status int, b any) error {
	body, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encode batch: %w", err)
	}
	c.Writer.Header()["Cache-Control"] = noStore
	write(c, status, "application/json", body)
	return nil
}

// batchOf is a batch as it is answered.
func batchOf(b *batch.Batch) *api.Batch {
	return &api.Batch{
		ID: b.ID, Status: api.BatchStatus(b.Status), PausedReason: b.PausedReason,
		Total: b.Total, Graded: b.Graded, NeedsReview: b.NeedsReview, Failed: b.Failed, Cancelled: b.Cancelled,
		Pending: b.Pending(), Cached: b.Cached, Durable: b.Durable, Mixed: b.Mixed,
		CreatedAt: b.CreatedAt, FinishedAt: b.FinishedAt, Usage: api.Usage(b.Spent), Saved: api.Usage(b.Saved),
	}
}

func estimateOf(e batch.Estimate) *api.BatchEstimate {
	return &api.BatchEstimate{Items: e.Items, Distinct: e.Distinct, Cached: e.Cached, Usage: api.Usage(e.Usage)}
}

// reasons say in prose why an item has no grade. Reasons that are not here are
// problem types that explain themselves.
var reasons = map[string]string{
	batch.ReasonExpired:       "The answer could not be graded before its time was up.",
	batch.ReasonWorkerCrash:   "The service broke down over this answer each time it was tried.",
	batch.ReasonCostLimit:     "The batch had reached its cost limit.",
	batch.ReasonAnswerTooLong: "Question and answer do not fit the model.",
	batch.ReasonRejected:      "The model endpoint does not take this request.",
	batch.ReasonNoModel:       "The service that graded this runs without a model.",
	batch.ReasonInternal:      "The answer could not be graded.",
	batch.ReasonCancelled:     "The batch was cancelled before this answer was graded.",
}

// reasonOf is the problem in the row of an item without a grade. It is the same
// whoever reads it and when.
func reasonOf(key batch.Key, r *batch.Result) *api.Problem {
	kind := api.Internal
	for _, t := range api.ProblemTypes() {
		if t.Slug() == r.Reason {
			kind = t
		}
	}
	detail, ok := reasons[r.Reason]
	if !ok {
		detail = kind.Title + "."
	}
	return &api.Problem{
		Type: kind.Type, Title: kind.Title, Status: kind.Status, Detail: detail,
		Instance: fmt.Sprintf("urn:gradus:batch:%s:%d", key.ID, r.Index),
	}
}

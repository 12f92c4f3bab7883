package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
)

const (
	stagedFor    = time.Hour
	reservedFor  = time.Minute
	submittedFor = 24 * time.Hour
)

// member is a batch's name in a list, memberKey the way back.
func member(key batch.Key) string { return escape(key.Tenant) + ":" + escape(key.ID) }

func memberKey(text string) (batch.Key, bool) {
	tenant, id, ok := strings.Cut(text, ":")
	return batch.Key{Tenant: unescape(tenant), ID: unescape(id)}, ok
}

// Reserve implements batch.Store. A key that was committed stays used for a day.
func (b *Batches) Reserve(ctx context.Context, r batch.Reservation) (*batch.Used, error) {
	limited, cancel := b.limit(ctx)
	defer cancel()
	reply, err := reserveScript.Run(limited, b.redis, []string{b.store.keys.submission(r.Tenant, r.Key)},
		r.Token, reservedFor.Milliseconds()).StringSlice()
	if err != nil {
		return nil, b.unlisted(ctx, "reserving an idempotency key", err)
	}
	return usedBy(reply)
}

// usedBy reads what a script says of an idempotency key.
func usedBy(reply []string) (*batch.Used, error) {
	switch {
	case len(reply) == 3 && reply[0] == "used":
		return &batch.Used{Fingerprint: reply[1], BatchID: reply[2]}, nil
	case len(reply) == 1 && reply[0] == "busy":
		return nil, batch.ErrInProgress
	case len(reply) == 1 && reply[0] == "ok":
		return nil, nil
	default:
		return nil, fmt.Errorf("%w: a reply of %d words", ErrUnavailable, len(reply))
	}
}

// Release implements batch.Store.
func (b *Batches) Release(ctx context.Context, r batch.Reservation) error {
	limited, cancel := b.limit(ctx)
	defer cancel()
	if err := unreserveScript.Run(limited, b.redis, []string{b.store.keys.submission(r.Tenant, r.Key)}, r.Token).Err(); err != nil {
		return b.unlisted(ctx, "releasing an idempotency key", err)
	}
	return nil
}

// Stage implements batch.Store. Each chunk makes the others last an hour more.
// A batch that is committed takes no more chunks: that is an error.
func (b *Batches) Stage(ctx context.Context, key batch.Key, chunk batch.Chunk) error {
	answers, err := encodeAnswers(key, chunk)
	if err != nil {
		return err
	}
	field := questionField(chunk.Question)
	question, err := encodeBlob(questionBlob, "", chunk.Question)
	if err != nil {
		return err
	}
	args := []any{chunk.Index, chunkLine(chunk, field), answers, field, question, stagedFor.Milliseconds()}
	for _, item := range chunk.Items {
		args = append(args, item.Index, pendingRow+item.ID)
	}
	kept, err := b.run(ctx, "staging a chunk", stageScript, key, args...).Int()
	if err == nil && kept == 0 {
		err = fmt.Errorf("stage chunk %d of batch %s: it is committed", chunk.Index, key.ID)
	}
	return err
}

// Commit implements batch.Store. One that came through although its reply was
// lost may be repeated.
func (b *Batches) Commit(ctx context.Context, rec batch.Batch, r *batch.Reservation, fingerprint string) (*batch.Used, error) {
	keys := b.store.keys.batch(rec.Key)
	token := ""
	if r != nil {
		token = r.Token
		keys = append(keys, b.store.keys.submission(r.Tenant, r.Key))
	}
	fields, err := batchFields(&rec)
	if err != nil {
		return nil, err
	}
	args := append([]any{rec.Chunks, rec.Total, token, fingerprint, rec.ID, submittedFor.Milliseconds()}, fields...)
	reply, err := b.runKeys(ctx, "committing", batchCommitScript, rec.Key, keys, args...).StringSlice()
	if err != nil {
		return nil, err
	}
	if len(reply) == 2 {
		if reply[0] == "chunk" {
			return nil, fmt.Errorf("commit batch %s: chunk %s of %d is not staged", rec.ID, reply[1], rec.Chunks)
		}
		return nil, fmt.Errorf("commit batch %s: %d items in %d chunks are not what is staged: there are %s items", rec.ID, rec.Total, rec.Chunks, reply[1])
	}
	used, err := usedBy(reply)
	if err != nil {
		return nil, fmt.Errorf("commit batch %s: %w", rec.ID, err)
	}
	return used, b.settle(ctx, "committing", rec.Key)
}

// Discard implements batch.Store.
func (b *Batches) Discard(ctx context.Context, key batch.Key, _ int) error {
	return b.run(ctx, "discarding", discardScript, key).Err()
}

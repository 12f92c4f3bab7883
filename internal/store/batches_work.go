package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
)

// Claim implements batch.Store. A chunk that is damaged comes without its
// question and its answers: nobody can grade it, and so its items fail, which
// is better than a batch that never ends.
func (b *Batches) Claim(ctx context.Context, ref batch.Ref, worker string) (*batch.Claim, error) {
	reply, err := b.run(ctx, "claiming a chunk", claimScript, ref.Key, ref.Chunk, ref.Gen, batch.LeaseTime.Milliseconds()).Slice()
	switch {
	case err != nil:
		return nil, err
	case len(reply) != 8:
		return nil, batch.ErrLost
	}
	lists := make([][]any, 3)
	for i, value := range reply[5:] {
		lists[i], _ = value.([]any) // an empty one is looked at below
	}
	rec, err := decodeBatch(ref.Key, fieldsOf(lists[2]))
	if err != nil {
		return nil, err
	}
	c := &batch.Claim{
		Ref: ref, Worker: worker, Fence: numberOf(reply[0]), Batch: *rec,
		Chunk: batch.Chunk{Index: ref.Chunk}, Done: map[int]bool{},
		Crashes: int(numberOf(reply[1])), Suspected: suspicions(textOf(reply[2])),
	}
	ids := make([]batch.Item, len(lists[0]))
	for i, index := range lists[0] {
		ids[i].Index = int(numberOf(index))
		if row := textOf(lists[1][i]); row != "" {
			ids[i].ID = row[len(pendingRow):]
		} else {
			c.Done[ids[i].Index] = true
		}
	}
	if err := b.fill(c, textOf(reply[3]), textOf(reply[4]), ids); err != nil {
		b.store.log.ErrorContext(ctx, "a chunk of a batch is damaged: its items will fail", "batch", ref.ID, "chunk", ref.Chunk, "error", err)
		c.Chunk.Question, c.Chunk.Items = nil, ids
	}
	return c, nil
}

// fill reads question and answers of a claim, whose items have these ids.
func (b *Batches) fill(c *batch.Claim, answers, question string, ids []batch.Item) (err error) {
	if c.Chunk.Items, err = decodeAnswers(c.Ref.Key, c.Ref.Chunk, answers); err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	same := slices.EqualFunc(c.Chunk.Items, ids, func(item, id batch.Item) bool {
		return item.Index == id.Index && (item.ID == id.ID || c.Done[id.Index])
	})
	if !same {
		return fmt.Errorf("items: %w", ErrDamaged)
	}
	// Where a question belongs is what it says.
	if c.Chunk.Question, err = decodeBlob(questionBlob, "", question); err != nil {
		return fmt.Errorf("question: %w", err)
	}
	return nil
}

// Renew implements batch.Store.
func (b *Batches) Renew(ctx context.Context, c *batch.Claim) error {
	return b.hold(ctx, "renewing a claim", c, batch.LeaseTime.Milliseconds(), "")
}

// Suspect implements batch.Store.
func (b *Batches) Suspect(ctx context.Context, c *batch.Claim, index int) error {
	return b.hold(ctx, "noting a suspect", c, "", index)
}

func (b *Batches) hold(ctx context.Context, what string, c *batch.Claim, lease, suspect any) error {
	held, err := b.run(ctx, what, batchRenewScript, c.Ref.Key, c.Ref.Chunk, c.Ref.Gen, c.Fence, lease, suspect).Int()
	if err == nil && held == 0 {
		err = batch.ErrLost
	}
	return err
}

// Complete implements batch.Store. Results of items that are not the claim's
// are an error, and nothing is kept. A crash of a Redis with appendfsync
// everysec may take back the last results of a batch that runs, which are then
// made anew; those of a batch that is over stay.
func (b *Batches) Complete(ctx context.Context, c *batch.Claim, results []batch.Result, done bool) (*batch.Progress, error) {
	args := []any{c.Ref.Chunk, c.Ref.Gen, c.Fence, bit(done), b.retention()}
	for _, r := range results {
		field, ok := endFields[r.Status]
		if !ok {
			return nil, fmt.Errorf("complete chunk %d of batch %s: result %d has no end", c.Ref.Chunk, c.Ref.ID, r.Index)
		}
		row, err := encodeResult(c.Ref.Key, r)
		if err != nil {
			return nil, err
		}
		args = append(args, r.Index, pendingRow+r.ID, row, field, bit(r.Cached), bit(r.Mixed))
		args = append(append(args, usageArgs(r.Spent)...), usageArgs(r.Saved)...)
	}
	reply, err := b.run(ctx, "completing a chunk", completeScript, c.Ref.Key, args...).Slice()
	switch {
	case err != nil:
		return nil, err
	case len(reply) == 2:
		return nil, fmt.Errorf("complete chunk %d of batch %s: result %s is of no item of it", c.Ref.Chunk, c.Ref.ID, textOf(reply[1]))
	case len(reply) != 3:
		return nil, batch.ErrLost
	}
	b.watch.kick(c.Ref.Key)
	fields, _ := reply[2].([]any) // none are an error of decodeBatch
	rec, err := decodeBatch(c.Ref.Key, fieldsOf(fields))
	if err != nil {
		return nil, err
	}
	p := &batch.Progress{Batch: *rec, Finished: numberOf(reply[1]) == 1}
	if gen := numberOf(reply[0]); gen > 0 {
		p.Again = &batch.Ref{Key: c.Ref.Key, Chunk: c.Ref.Chunk, Gen: gen}
	}
	if p.Finished {
		err = b.settle(ctx, "completing", c.Ref.Key)
	}
	return p, err
}

// endFields are the fields that count the ends of items.
var endFields = map[batch.RowStatus]string{
	batch.RowGraded: "graded", batch.RowNeedsReview: "needs_review", batch.RowFailed: "failed", batch.RowCancelled: "cancelled",
}

// Chunks implements batch.Store.
func (b *Batches) Chunks(ctx context.Context, key batch.Key) ([]batch.ChunkState, error) {
	limited, cancel := b.limit(ctx)
	defer cancel()
	keys := b.store.keys.batch(key)
	pipe := b.redis.TxPipeline()
	found, clock, lines := pipe.Exists(limited, keys[0]), pipe.Time(limited), pipe.HGetAll(limited, keys[1])
	if _, err := pipe.Exec(limited); err != nil {
		return nil, b.failed(ctx, "listing the chunks", key, err)
	}
	if found.Val() == 0 {
		return nil, batch.ErrNotFound
	}
	states := make([]batch.ChunkState, 0, len(lines.Val()))
	now := clock.Val().UnixMilli()
	for field, line := range lines.Val() {
		chunk, err := strconv.Atoi(field)
		w, ok := chunkWords(line)
		if err != nil || !ok {
			b.store.fault("reading a chunk of batch", ErrDamaged)
			continue // the others go on
		}
		state := batch.ChunkState{
			Ref:     batch.Ref{Key: key, Chunk: chunk, Gen: w.gen},
			Claimed: w.till != 0,
			Expired: w.till != 0 && w.till <= now,
			Crashes: int(w.crashes),
		}
		if w.queued != 0 {
			state.EnqueuedAt = time.UnixMilli(w.queued).UTC()
			state.Age = time.Duration(max(now-w.queued, 0)) * time.Millisecond
		}
		states = append(states, state)
	}
	slices.SortFunc(states, func(x, y batch.ChunkState) int { return cmp.Compare(x.Ref.Chunk, y.Ref.Chunk) })
	return states, nil
}

// enqueuedBlock is how many chunks one script notes.
const enqueuedBlock = 500

// Enqueued implements batch.Store.
func (b *Batches) Enqueued(ctx context.Context, refs ...batch.Ref) error {
	byBatch := make(map[batch.Key][]any)
	for _, ref := range refs {
		byBatch[ref.Key] = append(byBatch[ref.Key], ref.Chunk, ref.Gen)
	}
	for key, args := range byBatch {
		for block := range slices.Chunk(args, 2*enqueuedBlock) {
			if err := b.run(ctx, "noting what is enqueued", enqueuedScript, key, block...).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reclaim implements batch.Store.
func (b *Batches) Reclaim(ctx context.Context, ref batch.Ref) (batch.Ref, error) {
	gen, err := b.run(ctx, "reclaiming a chunk", reclaimScript, ref.Key, ref.Chunk, ref.Gen).Int64()
	switch {
	case err != nil:
		return batch.Ref{}, err
	case gen == 0:
		return batch.Ref{}, batch.ErrLost
	}
	ref.Gen = gen
	return ref, nil
}

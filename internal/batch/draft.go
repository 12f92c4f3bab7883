package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
)

const (
	// maxBuffered is how many bytes of items a draft holds back to fill chunks,
	// and keptBuffered how many of them it keeps once that is too much.
	maxBuffered  = 8 << 20
	keptBuffered = maxBuffered / 2
	// itemOverhead is what an item takes in memory beside its texts.
	itemOverhead = 64
	// renewReservation is how often the right to an idempotency key is renewed.
	renewReservation = 20 * time.Second
	// cleanUp bounds what is done after a submitter has gone.
	cleanUp = 5 * time.Second
)

// Draft is a batch that is being taken in. Nobody sees it before Commit. It is
// not for concurrent use.
type Draft struct {
	service *Service
	batch   Batch

	// used is set when the idempotency key stands for a batch already: then
	// nothing is kept.
	used        *Used
	reservation *Reservation
	letGo       func()
	ended       bool
	// committing is true from the first try to commit on: what is staged may be
	// part of a batch then, and is left alone.
	committing bool

	ids      map[string]int // where each id came
	groups   map[string]*group
	buffered int             // bytes in groups
	seen     map[string]bool // questions that have a chunk
	firsts   []int           // the first chunk of each question
	priced   bool            // the price of a call is known to be known

	forecast *forecast // of a dry run, else nil
}

// group is the items of one question that wait for their chunk to fill.
type group struct {
	question []byte
	items    []Item
	bytes    int
}

// resolve makes the judge that was asked for the one that will judge.
func (d *Draft) resolve() error {
	versions, err := d.service.cfg.Versions(d.batch.Options.Judge)
	if err != nil {
		return fmt.Errorf("choose the judge of a batch: %w", err)
	}
	d.batch.Options.Judge, d.batch.Made = versions.Judge, versions
	return nil
}

// hold keeps a reservation for as long as the draft is open.
func (d *Draft) hold(ctx context.Context, r Reservation) {
	d.reservation = &r
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(renewReservation)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				// Whether another got the key meanwhile Commit finds out.
				_, _ = d.service.cfg.Store.Reserve(ctx, r)
			case <-ctx.Done():
				return
			}
		}
	})
	d.letGo = func() { cancel(); running.Wait() }
}

// Total is the number of items so far.
func (d *Draft) Total() int { return d.batch.Total }

// Add takes an item in. place is the submitter's name for where the item stands,
// such as a line; it comes back in a DuplicateError of a later item. The
// question must have been loaded.
//
// Errors: *DuplicateError, ErrTooMany, ErrNoPrice, or the store's. After a
// DuplicateError the draft goes on without the item.
func (d *Draft) Add(ctx context.Context, id string, place int, q *rubric.Question, answer string) error {
	if d.used != nil {
		return nil
	}
	if first, again := d.ids[id]; again {
		return &DuplicateError{ID: id, First: first}
	}
	if d.batch.Total == MaxItems {
		return ErrTooMany
	}
	if err := d.checkPrice(q, answer); err != nil {
		return err
	}
	if d.forecast != nil {
		if err := d.foresee(ctx, q, answer); err != nil {
			return err
		}
	} else if err := d.put(ctx, id, q, answer); err != nil {
		return err
	}
	d.ids[id] = place
	d.batch.Total++
	return nil
}

// checkPrice refuses a cost limit that could not be kept.
func (d *Draft) checkPrice(q *rubric.Question, answer string) error {
	if d.batch.Options.MaxCost == nil || d.batch.Options.Judge != grading.Model || d.priced {
		return nil
	}
	usage, err := d.service.cfg.Kept.Estimate(d.request(q, answer), false)
	switch {
	case err != nil:
		return fmt.Errorf("estimate the cost: %w", err)
	case usage.Calls > 0 && usage.CostUSD == nil:
		return ErrNoPrice
	case usage.Calls > 0:
		d.priced = true
	}
	return nil
}

func (d *Draft) request(q *rubric.Question, answer string) grading.Request {
	return request(&d.batch, q, answer)
}

// put adds an item to its question's chunk.
func (d *Draft) put(ctx context.Context, id string, q *rubric.Question, answer string) error {
	name := q.Ref + " " + q.Digest() // a digest does not cover the set
	g := d.groups[name]
	if g == nil {
		frozen, err := rubric.Freeze(q)
		if err != nil {
			return err
		}
		g = &group{question: frozen, bytes: len(frozen)}
		d.groups[name] = g
		d.buffered += g.bytes
	}
	g.items = append(g.items, Item{Index: d.batch.Total, ID: id, Answer: answer})
	size := len(id) + len(answer) + itemOverhead
	g.bytes += size
	d.buffered += size
	if len(g.items) == ChunkItems {
		return d.stage(ctx, name)
	}
	if d.buffered > maxBuffered {
		return d.relieve(ctx, keptBuffered)
	}
	return nil
}

// relieve stages the largest groups until no more than so many bytes wait.
func (d *Draft) relieve(ctx context.Context, most int) error {
	names := slices.Collect(maps.Keys(d.groups))
	slices.SortFunc(names, func(a, b string) int {
		x, y := d.groups[a], d.groups[b]
		return cmp.Or(cmp.Compare(y.bytes, x.bytes), cmp.Compare(x.items[0].Index, y.items[0].Index))
	})
	for _, name := range names {
		if d.buffered <= most {
			return nil
		}
		if err := d.stage(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// stage gives a group to the store as a chunk. Where that fails the group
// stays, and may be staged again.
func (d *Draft) stage(ctx context.Context, name string) error {
	g := d.groups[name]
	chunk := Chunk{Index: d.batch.Chunks, Question: g.question, Items: g.items}
	if err := d.service.cfg.Store.Stage(ctx, d.batch.Key, chunk); err != nil {
		return fmt.Errorf("stage a chunk: %w", err)
	}
	delete(d.groups, name)
	d.buffered -= g.bytes
	if !d.seen[name] {
		d.seen[name] = true
		d.firsts = append(d.firsts, chunk.Index)
	}
	d.batch.Chunks++
	return nil
}

// Commit accepts the batch, all of it or nothing, and ends the draft. With an
// idempotency key that was used before it returns the batch of that time, if
// the fingerprint is the same as then, and replayed is true.
//
// Errors: ErrEmpty, ErrKeyReused, ErrInProgress, or the store's. After an error
// the draft is discarded.
func (d *Draft) Commit(ctx context.Context, fingerprint string) (b *Batch, replayed bool, err error) {
	if d.ended || d.forecast != nil {
		return nil, false, errors.New("commit a batch: the draft is not open")
	}
	defer d.Discard(ctx)
	if d.used != nil {
		return d.replay(ctx, d.used, fingerprint)
	}
	if d.batch.Total == 0 {
		return nil, false, ErrEmpty
	}
	if err := d.stageRest(ctx); err != nil {
		return nil, false, err
	}
	d.committing = true
	used, err := d.service.cfg.Store.Commit(ctx, d.batch, d.reservation, fingerprint)
	if err == nil && used != nil {
		d.committing = false
		return d.replay(ctx, used, fingerprint)
	}
	// A reply that was lost is no reason to let the submitter try again.
	looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	b, missing := d.service.cfg.Store.Get(looking, d.batch.Key)
	switch {
	case missing == nil:
		d.service.pump(ctx, d.batch.Key, d.firsts)
		return b, false, nil
	case err == nil:
		err = missing
	case errors.Is(missing, ErrNotFound):
		d.committing = false
	}
	return nil, false, fmt.Errorf("commit batch %s: %w", d.batch.ID, err)
}

// stageRest stages what is left, in the order of the upload.
func (d *Draft) stageRest(ctx context.Context) error {
	names := slices.Collect(maps.Keys(d.groups))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(d.groups[a].items[0].Index, d.groups[b].items[0].Index)
	})
	for _, name := range names {
		if err := d.stage(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// replay is the batch that the idempotency key stands for.
func (d *Draft) replay(ctx context.Context, used *Used, fingerprint string) (*Batch, bool, error) {
	if used.Fingerprint != fingerprint {
		return nil, false, ErrKeyReused
	}
	b, err := d.service.cfg.Store.Get(ctx, Key{Tenant: d.batch.Tenant, ID: used.BatchID})
	if err != nil {
		return nil, false, fmt.Errorf("find batch %s: %w", used.BatchID, err)
	}
	return b, true, nil
}

// Discard ends the draft and leaves nothing of it; after Commit it does nothing.
func (d *Draft) Discard(ctx context.Context) {
	if d.ended {
		return
	}
	d.ended = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	log, store := d.service.cfg.Log, d.service.cfg.Store
	if d.letGo != nil {
		d.letGo()
		if err := store.Release(ctx, *d.reservation); err != nil {
			log.InfoContext(ctx, "releasing an idempotency key", "batch", d.batch.ID, "error", err)
		}
	}
	if d.batch.Chunks > 0 && !d.committing {
		if err := store.Discard(ctx, d.batch.Key, d.batch.Chunks); err != nil { // it expires by itself
			log.InfoContext(ctx, "discarding a draft", "batch", d.batch.ID, "error", err)
		}
	}
	d.groups, d.ids, d.seen = nil, nil, nil
}

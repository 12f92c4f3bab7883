package batch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
)

const (
	// enqueueBlock is how many refs are given to the queue at a time.
	enqueueBlock = 500
	// pumpTime bounds how long a submitter waits for the queue to take a batch
	// that is safe already.
	pumpTime = 5 * time.Second
)

// Config is what a Service is made of.
type Config struct {
	Store Store
	Queue Queue
	// Kept knows what grades are kept and what others would cost.
	Kept Kept
	// Versions resolves a judge as in grading.Request to what its grades are
	// made with; grading.ErrNoModel where there is no such judge.
	Versions func(judge string) (Versions, error)
	// Admit says whether another batch may be taken in, and whether it will
	// outlive the process: ErrStorageFull, ErrNotDurable. nil admits all as
	// durable.
	Admit func(ctx context.Context) (durable bool, err error)
	Log   *slog.Logger
}

// Service takes batches in and tells how they are doing. It is safe for
// concurrent use.
type Service struct{ cfg Config }

// New makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Queue == nil || cfg.Kept == nil || cfg.Versions == nil || cfg.Log == nil {
		return nil, errors.New("batches need a store, a queue, kept grades, versions and a log")
	}
	if cfg.Admit == nil {
		cfg.Admit = func(context.Context) (bool, error) { return true, nil }
	}
	return &Service{cfg: cfg}, nil
}

// Begin opens a draft of a batch, which is to be ended by Commit or Discard.
// idempotencyKey may be empty. When the key was used before, the draft takes
// items without keeping them, and Commit compares fingerprints.
//
// Errors: ErrInProgress, ErrStorageFull, ErrNotDurable, grading.ErrNoModel, or
// the store's.
func (s *Service) Begin(ctx context.Context, tenant string, options Options, idempotencyKey string) (*Draft, error) {
	d := s.draft(tenant, options)
	if idempotencyKey != "" {
		r := Reservation{Tenant: tenant, Key: idempotencyKey, Token: rand.Text()}
		used, err := s.cfg.Store.Reserve(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("reserve idempotency key: %w", err)
		}
		if used != nil {
			d.used = used
			return d, nil
		}
		d.hold(ctx, r)
	}
	var err error
	if d.batch.Durable, err = s.cfg.Admit(ctx); err == nil {
		err = d.resolve()
	}
	if err != nil {
		d.Discard(ctx)
		return nil, err
	}
	return d, nil
}

// DryRun opens a draft that keeps nothing and can only be asked for an
// Estimate. The error is grading.ErrNoModel.
func (s *Service) DryRun(tenant string, options Options) (*Draft, error) {
	d := s.draft(tenant, options)
	d.forecast = &forecast{distinct: map[[32]byte]bool{}, warm: map[string]bool{}}
	if err := d.resolve(); err != nil {
		return nil, err
	}
	return d, nil
}

func (s *Service) draft(tenant string, options Options) *Draft {
	return &Draft{
		service: s,
		batch: Batch{
			Key:     Key{Tenant: tenant, ID: newID()},
			Status:  Queued,
			Options: options,
		},
		ids:    map[string]int{},
		groups: map[string]*group{},
		seen:   map[string]bool{},
	}
}

// newID is 100 bits of chance in lower case, so that ids survive case-folding
// shells and URLs and cannot be guessed.
func newID() string { return "ba_" + strings.ToLower(rand.Text())[:20] }

// Get returns a batch, or ErrNotFound.
func (s *Service) Get(ctx context.Context, key Key) (*Batch, error) {
	return s.cfg.Store.Get(ctx, key)
}

// Changed waits until a batch has another version than seen, or some seconds,
// and returns it; or ErrNotFound.
func (s *Service) Changed(ctx context.Context, key Key, seen int64) (*Batch, error) {
	return s.cfg.Store.Changed(ctx, key, seen)
}

// Results yields the results there are from an index on, in the order of the
// upload, or ErrNotFound. Items that are pending are left out.
func (s *Service) Results(ctx context.Context, key Key, from int) iter.Seq2[Result, error] {
	return s.cfg.Store.Results(ctx, key, from)
}

// Cancel ends a batch; what is graded stays. Cancelling what is over changes
// nothing. The error is ErrNotFound, or the store's.
func (s *Service) Cancel(ctx context.Context, key Key) (*Batch, error) {
	states, err := s.cfg.Store.Chunks(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("cancel batch %s: %w", key.ID, err)
	}
	b, err := s.cfg.Store.Cancel(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("cancel batch %s: %w", key.ID, err)
	}
	refs := make([]Ref, len(states))
	for i, state := range states {
		refs[i] = state.Ref
	}
	// Tidying only: who is brought such a chunk finds the batch over.
	for block := range slices.Chunk(refs, enqueueBlock) {
		if err := s.cfg.Queue.Drop(ctx, block...); err != nil {
			s.cfg.Log.InfoContext(ctx, "taking chunks out of the queue", "batch", key.ID, "error", err)
			break
		}
	}
	return b, nil
}

// Purge cancels a batch and erases it: its answers, its results, and the grades
// that are kept under the ids of its results. The error is ErrNotFound, or the
// store's; then some of it may be left, and Purge can be called again.
func (s *Service) Purge(ctx context.Context, key Key) error {
	if _, err := s.Cancel(ctx, key); err != nil {
		return err
	}
	for result, err := range s.cfg.Store.Results(ctx, key, 0) {
		if err != nil {
			return fmt.Errorf("purge batch %s: %w", key.ID, err)
		}
		if result.GradeID == "" {
			continue
		}
		if err := s.cfg.Kept.Forget(ctx, grading.Key{Tenant: key.Tenant, ID: result.GradeID}); err != nil {
			return fmt.Errorf("purge batch %s: %w", key.ID, err)
		}
	}
	if err := s.cfg.Store.Purge(ctx, key); err != nil {
		return fmt.Errorf("purge batch %s: %w", key.ID, err)
	}
	return nil
}

// pump hands a committed batch to the queue, the first chunk of each question
// before the others. Whatever fails here a Keeper makes up for: the batch is
// accepted.
func (s *Service) pump(ctx context.Context, key Key, firsts []int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pumpTime)
	defer cancel()
	states, err := s.cfg.Store.Chunks(ctx, key)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "listing the chunks of a new batch", "batch", key.ID, "error", err)
		return
	}
	first := make(map[int]bool, len(firsts))
	for _, chunk := range firsts {
		first[chunk] = true
	}
	refs := make([]Ref, 0, len(states))
	for _, wanted := range []bool{true, false} {
		for _, state := range states {
			if first[state.Ref.Chunk] == wanted {
				refs = append(refs, state.Ref)
			}
		}
	}
	if err := handOut(ctx, s.cfg.Store, s.cfg.Queue, refs); err != nil {
		s.cfg.Log.WarnContext(ctx, "handing out a new batch", "batch", key.ID, "error", err)
	}
}

// handOut gives refs to the queue and notes that it did.
func handOut(ctx context.Context, store Store, queue Queue, refs []Ref) error {
	for block := range slices.Chunk(refs, enqueueBlock) {
		if err := queue.Enqueue(ctx, block...); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		if err := store.Enqueued(ctx, block...); err != nil {
			return fmt.Errorf("note what is enqueued: %w", err)
		}
	}
	return nil
}

package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/batch"
)

// admitFor is how long a verdict on the Redis stands.
const admitFor = time.Second

// admission is what was found when somebody last asked.
type admission struct {
	mu   sync.Mutex
	when time.Time
	main *Server
}

// Admit says whether another batch may be taken in, and whether it will outlive
// this process, as batch.Config wants to know. It looks at Redis once a second
// at most.
//
// Errors: ErrUnavailable where Redis takes no writes; batch.ErrStorageFull when
// four fifths of its memory are used, since beyond that the work on batches
// that were accepted would fail too; batch.ErrNotDurable where it would lose
// them, unless Config.AllowVolatile. A Redis that does not tell is believed. An
// embedded store is full when its batches have a quarter of a million items.
func (b *Batches) Admit(ctx context.Context) (durable bool, err error) {
	s := b.store
	if s.embedded != nil {
		return false, b.admitEmbedded(ctx)
	}
	main := b.examined(ctx)
	reasons := strings.Join(main.Warnings, "; ")
	switch {
	case main.full():
		return false, fmt.Errorf("admit a batch: %w: %d of %d bytes are used", batch.ErrStorageFull, main.UsedBytes, main.MaxBytes)
	case !main.Reachable:
		return false, fmt.Errorf("admit a batch: %w: %s", ErrUnavailable, main.Fault)
	case !main.Durable && !s.cfg.AllowVolatile:
		return false, fmt.Errorf("admit a batch: %w: %s", batch.ErrNotDurable, reasons)
	}
	return main.Durable, nil
}

// mostEmbedded bounds the items kept inside the process, where nothing else
// bounds them: each takes one to two kilobytes.
const mostEmbedded = 5 * batch.MaxItems

func (b *Batches) admitEmbedded(ctx context.Context) error {
	ctx, cancel := b.limit(ctx)
	defer cancel()
	items := int64(0)
	for all := b.redis.Scan(ctx, 0, b.store.keys.rowsOfAll(), 1000).Iterator(); ; {
		if !all.Next(ctx) {
			if err := all.Err(); err != nil {
				return b.unlisted(ctx, "admitting a batch", err)
			}
			break
		}
		items += b.redis.HLen(ctx, all.Val()).Val() // 0 where it has just gone
	}
	if items >= mostEmbedded {
		return fmt.Errorf("admit a batch: %w: %d items are kept in this process", batch.ErrStorageFull, items)
	}
	return nil
}

// examined is the state of the main Redis, a second old at most.
func (b *Batches) examined(ctx context.Context) *Server {
	s, a := b.store, &b.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := s.cfg.Now(); a.main == nil || now.Sub(a.when).Abs() > admitFor {
		// Whoever asks first may leave: the others still want to know.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		a.main, a.when = s.examine(ctx, s.main, s.cfg.URL, lasting), now
	}
	return a.main
}

// full reports whether a server is close to refusing writes for want of memory,
// or already does.
func (s *Server) full() bool {
	return s.oom || (s.MaxBytes > 0 && float64(s.UsedBytes) > full*float64(s.MaxBytes))
}

// lineage tells a Redis that came back from one that came back empty.
type lineage struct {
	mu   sync.Mutex
	mark string // what the server held when it was first seen
	run  string // which run of the server that was
	lost time.Time
}

// trace compares what the server holds with what it held before.
func (l *lineage) trace(ctx context.Context, s *Store, c *redis.Client, run string, out *Server) {
	name := s.keys.lineage()
	pipe := c.Pipeline()
	pipe.SetNX(ctx, name, rand.Text(), 0)
	held := pipe.Get(ctx, name)
	if _, err := pipe.Exec(ctx); err != nil {
		return // a fault that the write before would have shown, but for a moment
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	mark := held.Val()
	switch {
	case l.mark != "" && mark != l.mark:
		l.lost = s.cfg.Now()
		s.log.ErrorContext(ctx, "Redis has lost what it held: batches that were accepted are gone", "redis", redacted(s.cfg.URL))
	case l.run != "" && run != "" && run != l.run:
		s.log.WarnContext(ctx, "Redis was restarted or replaced, and holds what it held", "redis", redacted(s.cfg.URL))
	}
	l.mark = mark
	if run != "" {
		l.run = run
	}
	if !l.lost.IsZero() {
		out.warn("it lost what it held, which was noticed at %s: batches that were accepted before are gone", l.lost.UTC().Format(time.RFC3339))
	}
}

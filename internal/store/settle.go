package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
)

const (
	// settlePatience is longer than Redis puts off a write to its file for: two
	// seconds.
	settlePatience = 4 * time.Second
	settleEvery    = 5 * time.Millisecond
)

// settle waits until what a batch was told is written to the append-only file,
// so that a crash of Redis cannot take it back.
//
// With appendfsync everysec Redis answers before it has written while the disk
// is still busy with the second before. Nothing tells a client so but INFO. A
// server that does not say is believed. (Power that fails is another matter:
// then the last second is gone unless appendfsync is always.)
func (b *Batches) settle(ctx context.Context, what string, key batch.Key) error {
	if b.store.embedded != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	goal := int64(-1)
	for last := int64(0); ; {
		info, err := b.redis.Info(ctx, "persistence").Result()
		if isReply(err) {
			return nil // INFO is forbidden
		}
		if err != nil {
			return b.failed(ctx, what, key, err)
		}
		size, knows := infoNumber(info, "aof_current_size")
		waiting, knowsToo := infoNumber(info, "aof_buffer_length")
		if goal < 0 {
			goal = size + waiting
		}
		// A file that has become smaller was written anew, with all of it.
		if !knows || !knowsToo || size >= goal || size < last {
			return nil
		}
		last = size
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s of batch %s: %w: Redis has not written it to its file", what, key.ID, ErrUnavailable)
		case <-time.After(settleEvery):
		}
	}
}

// infoNumber is a figure that INFO shows.
func infoNumber(info, name string) (int64, bool) {
	_, rest, found := strings.Cut(info, "\n"+name+":")
	if !found {
		return 0, false
	}
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

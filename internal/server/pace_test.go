package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
)

func TestTheEndOfABatchIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		items  int
		takes  time.Duration // all of it
		idle   time.Duration // before the first is done
		looks  int
		beyond time.Duration // the end
	}{
		{"at once", 2_000, 250 * time.Millisecond, 0, 12, 2 * leastGap},
		{"a small one", 20, 100 * time.Millisecond, 50 * time.Millisecond, 10, 3 * leastGap},
		{"a model", 2_000, 20 * time.Second, 200 * time.Millisecond, 120, 2 * leastGap},
		{"a large one", 50_000, 10 * time.Minute, 0, 3_020, 2 * leastGap},
		{"one that waits", 100, 11 * time.Minute, 10 * time.Minute, 3_400, mostGap},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := func(since time.Duration) *batch.Batch {
				done := int(int64(tt.items) * int64(since-tt.idle) / int64(tt.takes-tt.idle))
				return &batch.Batch{Total: tt.items, Graded: min(max(done, 0), tt.items)}
			}
			began, since := time.Now(), time.Duration(0)
			p := newPace(at(0), began)
			looks := 0
			for b := at(0); b.Pending() > 0; b = at(since) {
				gap := p.next(b, began.Add(since))
				require.GreaterOrEqual(t, gap, leastGap)
				require.LessOrEqual(t, gap, mostGap)
				since += gap
				looks++
			}
			require.LessOrEqual(t, looks, tt.looks)
			require.LessOrEqual(t, since-tt.takes, tt.beyond)
		})
	}
}

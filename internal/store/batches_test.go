package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch/batchtest"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// batchBackends are where batches may be kept.
var batchBackends = map[string]func(testing.TB) store.Config{
	"embedded": func(testing.TB) store.Config { return store.Config{} },
	"redis":    onRedis,
	"redis beside a cache redis": func(t testing.TB) store.Config {
		return store.Config{URL: storetest.Shared(t).TCPURL(), CacheURL: storetest.Shared(t).URL()}
	},
}

func TestBatchesKeepThePromises(t *testing.T) {
	for name, config := range batchBackends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batchtest.Run(t, func(t *testing.T) batchtest.Subject {
				b := open(t, config(t)).Batches()
				return batchtest.Subject{Store: b, Pass: func(d time.Duration) {
					require.NoError(t, b.Pass(context.WithoutCancel(t.Context()), d))
				}}
			})
		})
	}
}

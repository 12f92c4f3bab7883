package batchtest_test

import (
	"testing"
	"time"

	"github.com/gradus-ai/gradus/internal/batch/batchtest"
)

func TestAStoreOfMapsKeepsThePromises(t *testing.T) {
	t.Parallel()
	batchtest.Run(t, func(*testing.T) batchtest.Subject {
		s := batchtest.NewStore(time.Now)
		return batchtest.Subject{Store: s, Pass: s.Pass}
	})
}

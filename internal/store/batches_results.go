package store

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/gradus-ai/gradus/internal/batch"
)

// resultsBlock is how many rows are read at a time.
const resultsBlock = 128

// Results implements batch.Store. While one block is looked at the next is
// being read. A row that is damaged is yielded as an error that wraps
// ErrDamaged, and whoever goes on is given the rows after it.
func (b *Batches) Results(ctx context.Context, key batch.Key, from int) iter.Seq2[batch.Result, error] {
	return func(yield func(batch.Result, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var ahead chan rowBlock
		defer func() {
			cancel()
			if ahead != nil {
				<-ahead
			}
		}()
		read := func(first int) chan rowBlock {
			out := make(chan rowBlock, 1)
			go func() { out <- b.rows(ctx, key, first) }()
			return out
		}
		for ahead = read(max(from, 0)); ahead != nil; {
			block := <-ahead
			ahead = nil
			if block.err != nil {
				yield(batch.Result{}, block.err)
				return
			}
			if next := block.first + resultsBlock; next < block.total {
				ahead = read(next)
			}
			for i, value := range block.rows {
				result, found, err := b.row(key, block, block.first+i, value)
				if (found || err != nil) && !yield(result, err) {
					return
				}
			}
		}
	}
}

// rowBlock is a stretch of rows, and what was known of the batch just then.
type rowBlock struct {
	first, total int
	status       batch.Status
	rows         []any // string, or nil
	err          error
}

func (b *Batches) rows(ctx context.Context, key batch.Key, first int) rowBlock {
	limited, cancel := b.limit(ctx)
	defer cancel()
	keys := b.store.keys.batch(key)
	fields := make([]string, resultsBlock)
	for i := range fields {
		fields[i] = strconv.Itoa(first + i)
	}
	pipe := b.redis.TxPipeline() // the status of the moment the rows are read
	var rec struct {
		Status string `redis:"status"`
		Total  int    `redis:"total"`
	}
	known := pipe.HMGet(limited, keys[0], fieldStatus, fieldTotal)
	rows := pipe.HMGet(limited, keys[3], fields...)
	_, err := pipe.Exec(limited)
	if err == nil {
		err = known.Scan(&rec)
	}
	switch {
	case err != nil:
		return rowBlock{err: b.failed(ctx, "reading results", key, err)}
	case rec.Status == "":
		return rowBlock{err: batch.ErrNotFound}
	}
	return rowBlock{first: first, total: rec.Total, status: batch.Status(rec.Status), rows: rows.Val()[:max(0, min(resultsBlock, rec.Total-first))]}
}

// row is the result in a row; not found while the item is pending.
func (b *Batches) row(key batch.Key, block rowBlock, index int, value any) (batch.Result, bool, error) {
	row, _ := value.(string) // no row is a damaged one
	switch {
	case len(row) > 0 && row[:1] == pendingRow && block.status == batch.Cancelled:
		return batch.Result{Index: index, ID: row[1:], Status: batch.RowCancelled, Reason: batch.ReasonCancelled}, true, nil
	case len(row) > 0 && row[:1] == pendingRow && block.status != batch.Completed:
		return batch.Result{}, false, nil
	}
	result, err := decodeResult(key, index, row)
	if err != nil {
		return batch.Result{Index: index}, false, fmt.Errorf("result %d of batch %s: %w", index, key.ID, err)
	}
	return result, true, nil
}

package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
)

func TestBatchIsReadCancelledAndErased(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	b := d.submit("", threeLines, ndjson)
	path := "/v1/batches/" + b.ID
	p.finish(t, b.ID, func(i batch.Item) *batch.Result {
		if i.ID == "a" {
			return graded(i)
		}
		return nil
	})
	var got api.Batch
	require.NoError(t, json.Unmarshal(d.get(path).body, &got))
	require.Equal(t, [3]int{1, 2, 3}, [3]int{got.Graded, got.Pending, got.Total})
	require.Equal(t, api.BatchRunning, got.Status)

	require.NoError(t, json.Unmarshal(d.send("DELETE", path, "").body, &got))
	require.Equal(t, api.BatchCancelled, got.Status)
	require.Equal(t, 2, got.Cancelled)
	list := d.results(b.ID, "?wait=1")
	require.Len(t, list, 3)
	require.Equal(t, api.RowGraded, list[0].Status)
	require.Equal(t, api.RowCancelled, list[1].Status)
	require.ErrorIs(t, list[1].Error, api.ItemCancelled)

	r := d.send("DELETE", path+"?purge=1", "")
	require.Equal(t, 200, r.StatusCode)
	require.NoError(t, json.Unmarshal(r.body, &got))
	require.Equal(t, 3, got.Total, "as it was")
	for _, method := range []string{"GET", "DELETE"} {
		require.Equal(t, api.UnknownBatch.Type, problem(t, d.send(method, path, "")).Type)
	}
	for _, other := range []string{"/results", "/events"} {
		require.Equal(t, api.UnknownBatch.Type, problem(t, d.get(path+other)).Type)
	}
	require.Equal(t, api.InvalidRequest.Type, problem(t, d.send("DELETE", path+"?purge=x", "")).Type)
	before := p.store.Calls("Get")
	for _, id := range []string{"ba_", "gr_abc", "ba_A", "ba_a%2F..%2Fb", "ba_" + strings.Repeat("a", 65)} {
		require.Equal(t, 404, d.get("/v1/batches/"+id).StatusCode, id)
	}
	require.Equal(t, before, p.store.Calls("Get"), "what is no id is never looked up")
}

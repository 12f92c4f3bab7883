package server

import (
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gradus-ai/gradus/internal/api"
)

// Examples of uploads. They are sent to the service by a test.
const (
	exampleNDJSON = `{"id":"candidate-17","question_id":"lead-platform-engineer/first-90-days","answer":"I would sit with each team for two weeks."}` + "\n" +
		`{"id":"candidate-18","question_id":"lead-platform-engineer/first-90-days","answer":"I would buy a tool."}` + "\n"
	exampleCSV = "id,question_id,answer\n" +
		"candidate-17,lead-platform-engineer/first-90-days,I would sit with each team for two weeks.\n" +
		"candidate-18,lead-platform-engineer/first-90-days,\"I would buy a tool,\nand then another.\"\n"
)

var exampleUpload = api.BatchRequest{
	Items: []api.BatchItem{
		{ID: "candidate-17", Answer: "I would sit with each team for two weeks."},
		{ID: "candidate-18", Answer: "Because it is written down.", Question: &api.Question{
			Question: "Why does it matter?", Criteria: []api.Criterion{{ID: "reason", Statement: "Gives a reason."}},
		}},
	},
	BatchOptions: api.BatchOptions{QuestionID: "lead-platform-engineer/first-90-days"},
}

// batchEndpoints is the routes of batches.
func (s *Server) batchEndpoints() []endpoint {
	id := param{in: "path", name: "id", description: "Id of a batch."}
	onOff := []any{"1", "0", "true", "false"}
	row := reflect.TypeFor[api.ResultRow]()
	return []endpoint{
		{method: http.MethodPost, path: "/v1/batches", serve: s.createBatch, doc: operation{
			id: "createBatch", tag: "batches", summary: "Grade many answers",
			description: "Up to 50,000 answers as JSON, NDJSON or CSV; the batch is accepted whole or not at all, and graded in the background. " +
				"Options go into the query, or beside items in a JSON body, which come first. " +
				"A row that cannot be accepted is named by its line or pointer with all others that cannot; on_error=skip accepts the rest. " +
				"CSV has a header row with the columns id, answer and, unless the batch names the question, question_id; commas, semicolons or tabs may separate cells. " +
				"An item without question_id and question is graded by the batch's question_id. In a JSON body of more than 16 MiB options stand before items.",
			params: []param{
				paramOnce,
				{in: "header", name: "Cache-Control", description: "no-cache grades every answer again and replaces kept grades."},
				{in: "query", name: "judge", description: "Who reads the answers; auto is the model where one is configured.", enum: []any{api.JudgeAuto, api.JudgeModel, api.JudgeLexical}},
				{in: "query", name: "fallback", description: "Let the lexical judge stand in when the model cannot be asked.", enum: []any{api.JudgeLexical}},
				{in: "query", name: "detail", description: "How much of the feedback to give in the results; full where left out.", enum: []any{api.DetailNudge, api.DetailHint, api.DetailFull}},
				{in: "query", name: "question_id", description: "The question of the items that name none."},
				{in: "query", name: "max_cost", description: "Stop before more than this is spent, in US dollars.", schema: &huma.Schema{Type: huma.TypeNumber, Minimum: new(0.)}},
				{in: "query", name: "webhook_url", description: "An https address that is told when the batch is over."},
				{in: "query", name: "on_error", description: "skip accepts the good rows and reports the others; reject, the default, accepts nothing.", enum: []any{api.OnErrorReject, api.OnErrorSkip}},
				{in: "query", name: "dry_run", description: "Check everything and answer with an estimate; nothing is accepted.", enum: onOff},
			},
			request: reflect.TypeFor[api.BatchRequest](), example: exampleUpload,
			accepts: []content{
				{media: "application/x-ndjson", of: reflect.TypeFor[api.BatchItem](), example: exampleNDJSON},
				{media: "text/csv", of: reflect.TypeFor[string](), example: exampleCSV},
			},
			status: http.StatusAccepted, response: reflect.TypeFor[api.Batch](), located: true,
			others: map[int]reflect.Type{http.StatusOK: reflect.TypeFor[api.BatchEstimate]()},
			problems: []api.ProblemType{
				api.MalformedBody, api.BodyTimeout, api.IdempotencyInProgress, api.BodyTooLarge, api.TooManyItems, api.UnsupportedMediaType,
				api.InvalidRequest, api.IdempotencyKeyReused, api.NoModel, api.StoreUnavailable, api.StorageFull, api.StorageNotDurable,
				api.Overloaded, api.ShuttingDown,
			},
		}},
		{method: http.MethodGet, path: "/v1/batches/{id}", serve: s.readBatch, doc: operation{
			id: "getBatch", tag: "batches", summary: "See how a batch is doing",
			description: "graded, needs_review, failed, cancelled and pending add up to total.",
			params:      []param{id}, status: http.StatusOK, response: reflect.TypeFor[api.Batch](),
			problems: []api.ProblemType{api.UnknownBatch, api.StoreUnavailable},
		}},
		{method: http.MethodGet, path: "/v1/batches/{id}/results", serve: s.batchResults, doc: operation{
			id: "getResults", tag: "batches", summary: "Read the results of a batch",
			description: "One row an item, in the order of the upload, as far as they are finished; streamed. " +
				"A reply that was cut off, by a fault or because the service stops, ends without its last chunk: go on with from. " +
				"In NDJSON the schema is that of each line. Cells of CSV that a spreadsheet would take for a formula begin with a single quote. " +
				"The error of a row without a grade is a problem; beside those of POST /v1/grades it may be " +
				"`item-expired`, `item-cancelled`, `cost-limit`, `worker-crash`, `answer-too-long`, `model-rejected`, `no-model` or `internal`.",
			params: []param{
				id,
				{in: "query", name: "wait", description: "1 follows the batch to its end.", enum: onOff},
				{in: "query", name: "format", description: "Goes before Accept.", enum: []any{"ndjson", "csv", "json"}},
				{in: "query", name: "from", description: "Index of the first item to send; 0 where left out.", schema: &huma.Schema{Type: huma.TypeInteger, Minimum: new(0.)}},
				{in: "header", name: "Accept", description: "application/x-ndjson, text/csv or application/json."},
			},
			status: http.StatusOK, media: "application/x-ndjson", response: row,
			offers:   []content{{media: "application/json", of: reflect.SliceOf(row)}, {media: "text/csv", of: reflect.TypeFor[string]()}},
			problems: []api.ProblemType{api.UnknownBatch, api.InvalidRequest, api.StoreUnavailable, api.ShuttingDown},
		}},
		{method: http.MethodGet, path: "/v1/batches/{id}/events", serve: s.batchEvents, doc: operation{
			id: "followBatch", tag: "batches", summary: "Follow a batch",
			description: "Server-sent events: progress with the batch whenever it has changed, done with the batch once it is over, and a ping every 15 seconds. " +
				"Ids grow; Last-Event-ID leaves out what was seen, and 204 says that there is nothing more to come.",
			params: []param{id, {in: "header", name: "Last-Event-ID", description: "Id of the last event seen."}},
			status: http.StatusOK, media: eventStream, others: map[int]reflect.Type{http.StatusNoContent: nil},
			problems: []api.ProblemType{api.UnknownBatch, api.StoreUnavailable},
		}},
		{method: http.MethodDelete, path: "/v1/batches/{id}", serve: s.endBatch, doc: operation{
			id: "cancelBatch", tag: "batches", summary: "Cancel or erase a batch",
			description: "What is graded stays readable. purge=1 erases the batch with its answers, its results and the kept grades of them; the reply is the batch as it was. Cancelling what is over changes nothing.",
			params:      []param{id, {in: "query", name: "purge", description: "1 erases.", enum: onOff}},
			status:      http.StatusOK, response: reflect.TypeFor[api.Batch](),
			problems: []api.ProblemType{api.UnknownBatch, api.InvalidRequest, api.StoreUnavailable},
		}},
	}
}

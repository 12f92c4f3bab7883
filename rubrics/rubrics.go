// Package rubrics holds the question sets that gradus ships, and the JSON
// Schema that tells an editor what a set may say.
//
// It is data only. Package rubric reads it.
package rubrics

import "embed"

// FS holds the sets (*.yaml) and rubric.schema.json.
//
//go:embed *.yaml rubric.schema.json
var FS embed.FS

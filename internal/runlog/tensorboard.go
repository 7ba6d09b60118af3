package runlog

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// These are field numbers of tensorflow/core/framework/summary.proto
// (Summary.Value, SummaryMetadata), tensor.proto, tensor_shape.proto,
// TensorBoard's plugins/hparams/plugin_data.proto and
// google/protobuf/struct.proto.
const (
	valueTensor   = 8
	valueMetadata = 9

	metadataPlugin = 1
	metadataClass  = 4
	classTensor    = 2 // DataClass.DATA_CLASS_TENSOR
	pluginName     = 1
	pluginContent  = 2

	tensorType   = 1
	tensorShape  = 2
	tensorString = 8
	typeFloat    = 1 // DataType.DT_FLOAT
	typeString   = 7 // DataType.DT_STRING
	shapeDim     = 2
	dimSize      = 1

	hparamsVersion = 1
	hparamsStart   = 3 // HParamsPluginData.session_start_info
	startHParams   = 1
	startSeconds   = 5
	mapKey         = 1
	mapValue       = 2
	numberValue    = 2
	stringValue    = 3
)

// hparamsTag is the tag under which TensorBoard's plugin looks for the settings
// of a run.
const hparamsTag = "_hparams_/session_start_info"

// message appends field number n with the bytes of a message or string.
func message(b []byte, n protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), m)
}

func varint(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func double(b []byte, n protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), math.Float64bits(v))
}

// pluginEvent returns an event with a tensor for one of TensorBoard's plugins
// and with the plugin's own data.
func pluginEvent(now time.Time, step int, tag, plugin string, content, tensor []byte) []byte {
	data := message(nil, pluginName, []byte(plugin))
	if content != nil {
		data = message(data, pluginContent, content)
	}
	metadata := varint(message(nil, metadataPlugin, data), metadataClass, classTensor)
	value := message(message(message(nil, valueTag, []byte(tag)), valueTensor, tensor), valueMetadata, metadata)
	return frame(message(event(now, step), eventSummary, message(nil, summaryValue, value)))
}

// textEvent returns an event with a text, which TensorBoard renders as
// Markdown.
func textEvent(now time.Time, step int, tag, text string) []byte {
	shape := message(nil, shapeDim, varint(nil, dimSize, 1))
	tensor := message(message(varint(nil, tensorType, typeString), tensorShape, shape), tensorString, []byte(text))
	return pluginEvent(now, step, tag, "text", nil, tensor)
}

// settingsEvent returns an event with the settings for TensorBoard's table of
// hyper-parameters. Values that are numbers can be sorted and filtered there.
func settingsEvent(now time.Time, settings map[string]string) []byte {
	var start []byte
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		var value []byte
		if v, err := strconv.ParseFloat(settings[name], 64); err == nil {
			value = double(nil, numberValue, v)
		} else {
			value = message(nil, stringValue, []byte(settings[name]))
		}
		start = message(start, startHParams, message(message(nil, mapKey, []byte(name)), mapValue, value))
	}
	start = double(start, startSeconds, float64(now.UnixMicro())/1e6)
	content := message(varint(nil, hparamsVersion, 0), hparamsStart, start)
	// The plugin stores its data in the metadata; the tensor is empty.
	empty := message(varint(nil, tensorType, typeFloat), tensorShape, message(nil, shapeDim, varint(nil, dimSize, 0)))
	return pluginEvent(now, 0, hparamsTag, "hparams", content, empty)
}

// Settings tells TensorBoard the configuration of the run, by key.
func (r *Run) Settings(settings map[string]string) {
	r.put(r.events, settingsEvent(r.o.Now(), settings))
}

package runlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// These are field numbers of tensorflow/core/util/event.proto (Event, SessionLog)
// and tensorflow/core/framework/summary.proto (Summary, Summary.Value).
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5
	eventSessionLog  = 7

	sessionStatus = 1
	sessionStart  = 1 // SessionLog.SessionStatus.START

	summaryValue     = 1
	valueTag         = 1
	valueSimpleValue = 2
)

const eventsPrefix = "events.out.tfevents."

// createEvents creates an events file whose name sorts after the existing ones, because
// TensorBoard reads them in order of name. The time alone is not enough: a run may be
// resumed twice in one second, or on a machine whose clock is behind.
func createEvents(dir string, now time.Time) (*os.File, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	second := now.Unix()
	for _, entry := range entries {
		var s int64
		if n, _ := fmt.Sscanf(entry.Name(), eventsPrefix+"%d.", &s); n == 1 {
			second = max(second, s+1)
		}
	}
	name := fmt.Sprintf(eventsPrefix+"%010d.%s", second, host)
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o666)
}

// firstEvent returns the event with the version of the format. TensorBoard supports
// restart events from version 2 on.
func firstEvent(now time.Time) []byte {
	b := event(now, 0)
	b = protowire.AppendTag(b, eventFileVersion, protowire.BytesType)
	return frame(protowire.AppendString(b, "brain.Event:2"))
}

// restartEvent returns an event that makes TensorBoard discard the given step and later
// ones.
func restartEvent(now time.Time, step int) []byte {
	var session []byte
	session = protowire.AppendTag(session, sessionStatus, protowire.VarintType)
	session = protowire.AppendVarint(session, sessionStart)
	b := event(now, step)
	b = protowire.AppendTag(b, eventSessionLog, protowire.BytesType)
	return frame(protowire.AppendBytes(b, session))
}

// scalarEvent returns an event with one float32 per tag.
func scalarEvent(now time.Time, step int, tags []field) []byte {
	var summary []byte
	for _, tag := range tags {
		var value []byte
		value = protowire.AppendTag(value, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, tag.name)
		value = protowire.AppendTag(value, valueSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(tag.value.(float64))))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	b := event(now, step)
	b = protowire.AppendTag(b, eventSummary, protowire.BytesType)
	return frame(protowire.AppendBytes(b, summary))
}

// event begins an Event message; wall_time is in seconds since 1970.
func event(now time.Time, step int) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(now.UnixMicro())/1e6))
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

// frame wraps a message as a TFRecord: length (uint64, little-endian), masked
// CRC of the length, message, masked CRC of the message.
func frame(message []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(message)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, message...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(message))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC returns TensorFlow's masked CRC: the CRC rotated right by 15 bits,
// plus a constant. The mask is needed because a CRC over data that contains
// CRCs is weak.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

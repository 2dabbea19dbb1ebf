from .inference.activation import ActivationMapper as ActivationMapper
from .inference.activation import overlay as overlay
from .inference.classify import OnnxClassifier as OnnxClassifier
from .inference.detect import Detector as Detector
from .inference.detect import HaarDetector as HaarDetector
from .inference.detect import OwnDetector as OwnDetector
from .inference.detect import RegionDetector as RegionDetector
from .inference.detect import SureDetector as SureDetector
from .inference.detect import YuNetDetector as YuNetDetector
from .inference.detect import make_detector as make_detector
from .inference.library import DEFAULT_MODEL as DEFAULT_MODEL
from .inference.library import open_model as open_model
from .inference.pose import Pose as Pose
from .inference.pose import head_pose as head_pose
from .inference.pull import pull as pull
from .inference.quality import QualityLimits as QualityLimits
from .inference.quality import assess as assess
from .inference.reader import FaceReader as FaceReader
from .inference.reader import open_reader as open_reader
from .output.annotated import AnnotateSink as AnnotateSink
from .output.annotated import SourcePictures as SourcePictures
from .output.columns import PICTURE_COLUMNS as PICTURE_COLUMNS
from .output.columns import RECORDING_COLUMNS as RECORDING_COLUMNS
from .output.draw import StreamDrawer as StreamDrawer
from .output.draw import annotate as annotate
from .output.mjpeg import LivePage as LivePage
from .output.mp4 import VideoSink as VideoSink
from .output.report import ReportSink as ReportSink
from .output.sinks import Sink as Sink
from .output.tables import CsvSink as CsvSink
from .output.tables import CsvStreamSink as CsvStreamSink
from .output.tables import JsonLinesSink as JsonLinesSink
from .output.tables import JsonSink as JsonSink
from .output.tables import ParquetSink as ParquetSink
from .recognizer import Recognizer as Recognizer
from .recordings.compare import Cohort as Cohort
from .recordings.compare import Comparison as Comparison
from .recordings.compare import compare_cohorts as compare_cohorts
from .recordings.epochs import Epochs as Epochs
from .recordings.epochs import EpochSpec as EpochSpec
from .recordings.epochs import cut_epochs as cut_epochs
from .recordings.read import Recording as Recording
from .recordings.read import read_recording as read_recording
from .recordings.responses import Experiment as Experiment
from .recordings.responses import analyse_epochs as analyse_epochs
from .recordings.stimuli import Stimulus as Stimulus
from .recordings.stimuli import read_stimuli as read_stimuli
from .stream.opening import open_source as open_source
from .stream.sampling import SampledSource as SampledSource
from .stream.smooth import Smoother as Smoother
from .stream.smooth import Smoothing as Smoothing
from .stream.source import Source as Source
from .stream.stream_picture import ArrayPicture as ArrayPicture
from .stream.stream_picture import StreamPicture as StreamPicture
from .stream.track import Tracker as Tracker
from .stream.watcher import Watcher as Watcher

__all__ = [
    "DEFAULT_MODEL",
    "PICTURE_COLUMNS",
    "RECORDING_COLUMNS",
    "ActivationMapper",
    "AnnotateSink",
    "ArrayPicture",
    "Cohort",
    "Comparison",
    "CsvSink",
    "CsvStreamSink",
    "Detector",
    "EpochSpec",
    "Epochs",
    "Experiment",
    "FaceReader",
    "HaarDetector",
    "JsonLinesSink",
    "JsonSink",
    "LivePage",
    "OnnxClassifier",
    "OwnDetector",
    "ParquetSink",
    "Pose",
    "QualityLimits",
    "Recognizer",
    "Recording",
    "RegionDetector",
    "ReportSink",
    "SampledSource",
    "Sink",
    "Smoother",
    "Smoothing",
    "Source",
    "SourcePictures",
    "Stimulus",
    "StreamDrawer",
    "StreamPicture",
    "SureDetector",
    "Tracker",
    "VideoSink",
    "Watcher",
    "YuNetDetector",
    "analyse_epochs",
    "annotate",
    "assess",
    "compare_cohorts",
    "cut_epochs",
    "head_pose",
    "make_detector",
    "open_model",
    "open_reader",
    "open_source",
    "overlay",
    "pull",
    "read_recording",
    "read_stimuli",
]

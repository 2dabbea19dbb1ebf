from .ensemble import Ensemble as Ensemble
from .ensemble import EnsembleSpec as EnsembleSpec
from .errors import AppError as AppError
from .errors import BulkError as BulkError
from .errors import ChecksumError as ChecksumError
from .errors import ConfigError as ConfigError
from .errors import ConsentError as ConsentError
from .errors import DatasetError as DatasetError
from .errors import DownloadError as DownloadError
from .errors import LabelError as LabelError
from .errors import MienError as MienError
from .errors import MissingExtraError as MissingExtraError
from .errors import ModelError as ModelError
from .errors import NoRecordingError as NoRecordingError
from .errors import NotStoredError as NotStoredError
from .errors import PictureError as PictureError
from .errors import PictureTooLargeError as PictureTooLargeError
from .errors import PolicyError as PolicyError
from .errors import RoomError as RoomError
from .errors import StoreError as StoreError
from .errors import TrainingError as TrainingError
from .errors import UnknownModelError as UnknownModelError
from .errors import UnreadablePictureError as UnreadablePictureError
from .errors import VideoError as VideoError
from .expression import FER2013 as FER2013
from .expression import FERPLUS as FERPLUS
from .expression import LABEL_SETS as LABEL_SETS
from .expression import SIX as SIX
from .expression import THREE as THREE
from .expression import WITHOUT_DISGUST as WITHOUT_DISGUST
from .expression import Expression as Expression
from .expression import LabelMap as LabelMap
from .expression import Labels as Labels
from .expression import Polarity as Polarity
from .face import LANDMARK_NAMES as LANDMARK_NAMES
from .face import Box as Box
from .face import Event as Event
from .face import Face as Face
from .face import Frame as Frame
from .face import Reading as Reading
from .face import Track as Track
from .fitted import Fitted as Fitted
from .fitted import Folds as Folds
from .manifest import Manifest as Manifest
from .picture_files import iter_pictures as iter_pictures
from .pictures import MAX_PIXELS as MAX_PIXELS
from .pictures import decode_picture as decode_picture
from .pictures import read_picture as read_picture
from .policy import Decision as Decision
from .policy import Feature as Feature
from .policy import Place as Place
from .policy import Purpose as Purpose
from .policy import decide as decide
from .predictor import Predictor as Predictor
from .preprocess import Image as Image
from .preprocess import InputSpec as InputSpec
from .preprocess import crop_face as crop_face
from .preprocess import crop_picture as crop_picture
from .preprocess import crop_pictures as crop_pictures

__all__ = [
    "FER2013",
    "FERPLUS",
    "LABEL_SETS",
    "LANDMARK_NAMES",
    "MAX_PIXELS",
    "SIX",
    "THREE",
    "WITHOUT_DISGUST",
    "AppError",
    "Box",
    "BulkError",
    "ChecksumError",
    "ConfigError",
    "ConsentError",
    "DatasetError",
    "Decision",
    "DownloadError",
    "Ensemble",
    "EnsembleSpec",
    "Event",
    "Expression",
    "Face",
    "Feature",
    "Fitted",
    "Folds",
    "Frame",
    "Image",
    "InputSpec",
    "LabelError",
    "LabelMap",
    "Labels",
    "Manifest",
    "MienError",
    "MissingExtraError",
    "ModelError",
    "NoRecordingError",
    "NotStoredError",
    "PictureError",
    "PictureTooLargeError",
    "Place",
    "Polarity",
    "PolicyError",
    "Predictor",
    "Purpose",
    "Reading",
    "RoomError",
    "StoreError",
    "Track",
    "TrainingError",
    "UnknownModelError",
    "UnreadablePictureError",
    "VideoError",
    "crop_face",
    "crop_picture",
    "crop_pictures",
    "decide",
    "decode_picture",
    "iter_pictures",
    "read_picture",
]

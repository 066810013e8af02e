"""FaceDetectorYN in its usual form: decodes an image and runs the detector at its size."""
import json
import os
import sys

import cv2
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from peer import job, measure, take_turns

todo = job()
if not todo.get("turns"):
    cv2.setNumThreads(1)
content = np.frombuffer(open(todo["image"], "rb").read(), np.uint8)
image = cv2.imdecode(content, cv2.IMREAD_COLOR)
detector = cv2.FaceDetectorYN.create(todo["model"], "", image.shape[1::-1], 0.7, 0.3, 5000)


def detect(image):
    faces = detector.detect(image)[1]
    return 0 if faces is None else len(faces)


def detection():
    for _ in range(todo["count"]):
        detect(image)


def whole():
    for _ in range(todo["count"]):
        faces = detect(cv2.imdecode(content, cv2.IMREAD_COLOR))
    return faces


if todo.get("turns"):
    take_turns({"whole": whole})
    sys.exit()
figures = {name: measure(todo["count"], todo["rounds"], run) for name, run in [("detection", detection), ("whole", whole)]}
print(json.dumps(figures | {"faces": detect(image)}))
